/** `sealfs fetch` from other stores and directories. */
import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { Store } from "../../../src/store/store.ts";
import { runMain } from "../../support/run.ts";
import { bundleFor, contentOf, damage, digestOf, imageWith, publish } from "../../support/store.ts";
import { alice } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

const name = "registry.example/app:1";
const seeds = Array.from({ length: 30 }, (_, i) => `file-${i}`);
let folder: string;
let client: Store;
let server: Store;
const at = (file: string) => join(folder, file);
const trust = () => ["--key", at("alice.pub"), "--state", "none"];
const fetch = (...more: string[]) =>
  runMain("fetch", name, "--store", client.path, "--mirrors", "none", ...trust(), ...more);
const lacks = () => seeds.filter((seed) => !existsSync(client.objects.path(digestOf(seed))));

beforeEach(() => {
  folder = scratchFolder();
  writeFileSync(at("alice.pub"), alice.publicKey.toPem());
  client = Store.create(at("client"));
  server = Store.create(at("server"));
  publish(server, name, seeds, { version: 1 });
  publish(client, name, seeds, { version: 1 });
  for (const seed of seeds) unlinkSync(client.objects.path(digestOf(seed)));
});

describe("fetch", () => {
  test("gets everything from another store", async () => {
    const { status, err, out } = await fetch("--mirror", server.path);
    expect(err).toContain("fetched 30 objects");
    expect(out).toContain(server.path);
    expect(status).toBe(0);
    expect(lacks()).toEqual([]);
    expect((await runMain("fsck", "--store", client.path)).status).toBe(0);
    expect((await fetch("--mirror", server.path)).err).toContain("nothing is missing");
  });

  test("gets everything from a plain directory of objects", async () => {
    expect((await fetch("--mirror", join(server.path, "objects"))).status).toBe(0);
    expect(lacks()).toEqual([]);
  });

  test("asks the next mirror for what the first has wrong, and tells so", async () => {
    const second = Store.create(at("second"));
    publish(second, name, seeds);
    damage(server, digestOf(seeds[7]!));
    const { status, out } = await fetch("--mirror", server.path, "--mirror", second.path, "--json");
    expect(status).toBe(0);
    expect(lacks()).toEqual([]);
    const { sources, fetched } = JSON.parse(out);
    expect(fetched.objects).toBe(30);
    expect(sources).toMatchObject([
      { name: server.path, kind: "store", faults: { wrong: 1 } },
      { name: second.path },
    ]);
    expect(sources[0].lastFault).toContain(digestOf(seeds[7]!));
  });

  test("tells what it could not have, and takes the rest", async () => {
    damage(server, digestOf(seeds[7]!));
    const { status, err } = await fetch("--mirror", server.path);
    expect(status).toBe(6);
    expect(err).toContain("1 object could not be fetched");
    expect(err).toContain(digestOf(seeds[7]!));
    expect(lacks()).toEqual([seeds[7]]);
  });

  test("says that a mirror is needed when there is none", async () => {
    const { status, err } = await fetch();
    expect(status).toBe(6);
    expect(err).toContain("--mirror");
  });

  test("--dry-run tells what is missing and from where it would come, and fetches nothing", async () => {
    const { status, out } = await fetch("--mirror", server.path, "--dry-run", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      wanted: { objects: 30, bytes: 150_000 },
      missing: { objects: 30, bytes: 150_000 },
      sources: [
        {
          name: server.path,
          kind: "store",
          requests: 30,
          objects: 30,
          bytes: 150_000,
          cost: 150_000,
        },
      ],
      absent: [],
    });
    expect(lacks()).toHaveLength(30);
  });

  test("--path gets only the files that match", async () => {
    expect((await fetch("--mirror", server.path, "--path", "/file-1*")).status).toBe(0);
    expect(lacks()).toEqual(seeds.filter((seed) => !seed.startsWith("file-1")));
    const { status, err } = await fetch("--mirror", server.path, "--path", "/no/such");
    expect(status).toBe(7);
    expect(err).toContain("/no/such");
  });

  test("nothing is fetched for an image that is not signed by the key", async () => {
    await runMain("keygen", "-o", at("other"));
    const places = ["--store", client.path, "--mirror", server.path];
    const { status } = await runMain(
      "fetch",
      name,
      ...places,
      "--key",
      at("other.pub"),
      "--state",
      "none",
    );
    expect(status).toBe(5);
    expect(lacks()).toHaveLength(30);
  });

  test("takes an image that is a file into the store, once all of it is there", async () => {
    const image = imageWith(Object.fromEntries(seeds.map((seed) => [seed, contentOf(seed)])));
    writeFileSync(at("app.img"), image);
    writeFileSync(at("app.img.bundle.json"), bundleFor(image, name, 1).bytes);
    const empty = Store.create(at("empty"));
    const places = ["--store", empty.path, "--mirror", server.path];
    const { status, err } = await runMain(
      "fetch",
      at("app.img"),
      "--name",
      name,
      ...places,
      ...trust(),
    );
    expect(err).toContain("fetched 30 objects");
    expect(status).toBe(0);
    expect(empty.images.resolve(name)).toBe(verityDigestOf(image));
    expect((await runMain("verify", name, "--store", empty.path, ...trust())).status).toBe(0);
    await runMain("gc", "--store", empty.path);
    expect((await runMain("fsck", "--store", empty.path)).status).toBe(0);
    expect(existsSync(empty.objects.path(digestOf(seeds[0]!)))).toBe(true);
  });

  test.each([
    ["ftp://mirror.example/", "expected DIR"],
    ["https://user:secret@mirror.example/", "credentials"],
    ["https://mirror.example/?token=x", "no ?"],
    ["/no/such/directory", "no directory there"],
  ])("refuses the mirror %s", async (mirror, why) => {
    const { status, err } = await fetch("--mirror", mirror);
    expect([2, 7]).toContain(status);
    expect(err).toContain(why);
    expect(err).not.toContain("secret");
  });

  test("asks the mirrors of a file that serve the name, after those of the command line", async () => {
    const mirrors = [
      { location: "server", names: ["registry.example/**"] },
      { location: at("other"), names: ["elsewhere.example/**"] },
      { location: "gone" },
    ];
    writeFileSync(at("mirrors.json"), JSON.stringify({ mirrors }));
    const { status, out, err } = await fetch("--mirrors", at("mirrors.json"), "--json");
    expect(status).toBe(0);
    expect(err).toContain("mirror not used");
    expect(JSON.parse(out).sources.map((each: { name: string }) => each.name)).toEqual([
      server.path,
    ]);
    expect(lacks()).toEqual([]);
  });
});

describe("fsck --repair --from a mirror", () => {
  test("gets what is missing and what is wrong from a directory of objects", async () => {
    await fetch("--mirror", server.path);
    damage(client, digestOf(seeds[3]!));
    unlinkSync(client.objects.path(digestOf(seeds[4]!)));
    const from = join(server.path, "objects");
    const { status, err } = await runMain(
      "fsck",
      "--store",
      client.path,
      "--repair",
      "--from",
      from,
    );
    expect(err).toContain("everything is repaired");
    expect(status).toBe(0);
    expect(lacks()).toEqual([]);
    expect((await runMain("fsck", "--store", client.path)).status).toBe(0);
  });

  test("tells what the mirror could not give", async () => {
    const from = ["--from", join(server.path, "objects")];
    unlinkSync(server.objects.path(digestOf(seeds[4]!)));
    const { status } = await runMain("fsck", "--store", client.path, "--repair", ...from);
    expect(status).toBe(4);
    expect(lacks()).toEqual([seeds[4]]);
  });
});
