/** Second names, ways back, and the history of a name: `tag`, `rollback`, `images --history`. */
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { objectPath } from "../../../src/verity/verity-digest.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { Store } from "../../../src/store/store.ts";
import { runMain, runMainOk } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const name = "registry.example/app:1.0";
const promoted = "registry.example/app:stable";
let folder: string;
const at = (file: string) => join(folder, file);
const signing = (key = "signer") => ["--store", at("store"), "--key", at(`${key}.key`)];

beforeEach(async () => {
  folder = scratchFolder();
  await runMainOk("keygen", "-o", at("signer"));
});

/** Builds and signs a release of a name; gives its id. */
async function release(content: string, ...more: string[]): Promise<string> {
  mkdirSync(at(content), { recursive: true });
  writeFileSync(join(at(content), "file"), `${content} `.repeat(100));
  const built = await runMainOk(
    "build",
    `dir:${at(content)}`,
    ...signing(),
    "--name",
    name,
    ...more,
  );
  return built.out;
}

interface Version {
  readonly name: string;
  readonly version: number;
  readonly id: string;
  readonly isCurrent: boolean;
}

async function history(...names: string[]): Promise<Version[]> {
  const { out } = await runMainOk(
    "images",
    ...names,
    "--history",
    "--json",
    "--store",
    at("store"),
  );
  return JSON.parse(out) as Version[];
}

/** What a client says of a name in its store. */
const verify = (as = name, ...more: string[]) =>
  runMain("verify", as, "--store", at("client"), "--key", at("signer.pub"), ...more);
const remembering = () => ["--state", at("state")];

/** Carries a name from the signer's store to the client's. */
async function carry(as = name): Promise<void> {
  const { bytes } = await runMainOk("export", as, "--store", at("store"));
  writeFileSync(at("archive"), bytes);
  const key = ["--key", at("signer.pub"), "--state", "none"];
  await runMainOk("import", at("archive"), "--store", at("client"), ...key);
}

describe("tag", () => {
  test("gives an image a second signed name, and moves it there", async () => {
    const old = await release("old", "--version", "1");
    await runMainOk("tag", name, promoted, ...signing());
    const id = await release("new", "--version", "2");
    const { out, err } = await runMainOk("tag", name, promoted, ...signing());
    expect(out).toBe(id);
    expect(err).toMatch(
      new RegExp(
        `^signed ${promoted} as version [0-9]+ until .*Z, in place of ${old.slice(0, 12)}$`,
      ),
    );
    expect(Store.open(at("store")).images.lookup(promoted)).toBe(id);
    await carry(promoted);
    expect((await verify(promoted)).status).toBe(0);
    expect((await verify(name)).status).toBe(7);
  });

  test("says in one document what was signed", async () => {
    const id = await release("app");
    const told = await runMainOk("tag", name, promoted, "--json", "--version", "7", ...signing());
    const { images } = JSON.parse(told.out) as { images: unknown[] };
    expect(images).toEqual([expect.objectContaining({ id, name: promoted, version: 7 })]);
    expect(told.err).toBe("");
  });

  test("takes an image by the first digits of its id, under any name", async () => {
    const id = await release("app");
    expect((await runMainOk("tag", id.slice(0, 12), promoted, ...signing())).out).toBe(id);
  });

  test("by another key needs to know by whom the image was signed", async () => {
    const id = await release("app", "--version", "3");
    await runMainOk("keygen", "-o", at("production"));
    const tag = (...more: string[]) =>
      runMain("tag", name, promoted, ...signing("production"), ...more);
    expect(await tag()).toMatchObject({ status: 5, out: "" });
    expect(await history(promoted)).toEqual([]);
    expect(await tag("--signed-by", at("signer.pub"))).toMatchObject({ status: 0, out: id });
    const [first] = await history(promoted);
    expect(first).toMatchObject({ id, name: promoted, isCurrent: true });
  });

  test("does not sign what somebody else has put under the name", async () => {
    await release("app");
    const planted = await runMainOk("build", `dir:${at("app")}`, "--store", at("other"));
    mkdirSync(at("evil"));
    writeFileSync(at("evil/file"), "evil ".repeat(100));
    const evil = await runMainOk("build", `dir:${at("evil")}`, "--store", at("store"));
    expect(evil.out).not.toBe(planted.out);
    const ref = join(at("store"), "images/refs", encodeURIComponent(name).replace("%3A", ":"));
    rmSync(ref);
    symlinkSync(`../${evil.out}`, ref);
    expect(Store.open(at("store")).images.lookup(name)).toBe(evil.out);
    const refused = await runMain("tag", name, promoted, ...signing());
    expect(refused).toMatchObject({ status: 5, out: "" });
    expect(Store.open(at("store")).images.lookup(promoted)).toBeUndefined();
  });

  test("does not sign an image of another name that somebody has put under this one", async () => {
    await release("app");
    const other = "registry.example/other:1";
    mkdirSync(at("other"));
    const id = await runMainOk("build", `dir:${at("other")}`, ...signing(), "--name", other);
    const ref = join(at("store"), "images/refs", encodeURIComponent(name).replace("%3A", ":"));
    rmSync(ref);
    symlinkSync(`../${id.out}`, ref);
    const refused = await runMain("tag", name, promoted, ...signing());
    expect(refused.status).toBe(5);
    expect(refused.err).toContain(other);
  });

  test("refuses what is not there, and what is no name", async () => {
    await release("app");
    expect((await runMain("tag", "nothing", promoted, ...signing())).status).toBe(7);
    expect((await runMain("tag", name, "-x\n", ...signing())).status).toBe(2);
    expect((await runMain("tag", name, promoted, "--store", at("store"))).err).toContain("--key");
  });
});

describe("rollback", () => {
  test("is what a refused client is told to ask for, and that works", async () => {
    const old = await release("old");
    await carry();
    expect((await verify(name, ...remembering())).status).toBe(0);
    cpSync(at("client"), at("attacker"), { recursive: true, verbatimSymlinks: true });
    await release("new");
    await carry();
    expect((await verify(name, ...remembering())).status).toBe(0);

    // Somebody puts the old store in the place of the new one.
    rmSync(at("client"), { recursive: true });
    cpSync(at("attacker"), at("client"), { recursive: true, verbatimSymlinks: true });
    const refused = await verify(name, ...remembering());
    expect(refused).toMatchObject({ status: 5 });
    expect(refused.err).toContain("was there already");
    const advice = /the signer runs: sealfs (.*)/.exec(refused.err)![1]!;
    const said: Record<string, string> = { STORE: at("store"), KEY: at("signer.key") };
    const command = advice.split(" ").map((word) => said[word] ?? word);
    expect(command.slice(0, 3)).toEqual(["rollback", name, old.slice(0, 12)]);
    expect((await runMainOk(...command)).out).toBe(old);

    await carry();
    const taken = await verify(name, ...remembering());
    expect(taken.status).toBe(0);
    expect(taken.out).toContain(old);

    // The same image under its first signature is nothing that leads back.
    rmSync(at("client"), { recursive: true });
    cpSync(at("attacker"), at("client"), { recursive: true, verbatimSymlinks: true });
    expect(await verify(name, ...remembering())).toMatchObject({ status: 0 });
  });

  test("goes to the last image that was another one, and from there back again", async () => {
    const [old, current] = [
      await release("old", "--version", "1"),
      await release("new", "--version", "2"),
    ];
    await runMainOk("sign", name, ...signing(), "--version", "3");
    const back = await runMainOk("rollback", name, "--version", "4", ...signing());
    expect(back.out).toBe(old);
    expect(back.err).toContain(
      `from ${current.slice(0, 12)}, version 3, back to ${old.slice(0, 12)}`,
    );
    expect(Store.open(at("store")).images.lookup(name)).toBe(old);
    expect((await runMainOk("rollback", name, "--version", "5", ...signing())).out).toBe(current);
    expect(await history(name)).toMatchObject([
      { version: 5, id: current, isCurrent: true },
      { version: 4, id: old, isCurrent: false },
    ]);
  });

  test("leads from an image for a platform to one from before, which named none, and back", async () => {
    const old = await release("old", "--version", "1");
    const site = ["oci-archive:examples/site.oci.tar", "--platform", "linux/amd64"];
    const built = await runMainOk("build", ...site, "--name", name, "--version", "2", ...signing());
    expect((await runMainOk("rollback", name, "--version", "3", ...signing())).out).toBe(old);
    const { images } = Store.open(at("store"));
    expect(images.lookup(name, parsePlatform("linux/amd64"))).toBe(old);
    const forth = await runMainOk("rollback", name, "--version", "4", ...signing());
    expect(forth.out).toBe(built.out);
    const now = { version: 4, id: built.out, platform: "linux/amd64", isCurrent: true };
    expect(await history(name)).toContainEqual(expect.objectContaining(now));
  });

  test("goes to a version or an id, and rises by itself above what was there", async () => {
    const first = await release("first", "--version", "1");
    const second = await release("second", "--version", "2");
    await release("third", "--version", "9007199254740000");
    const { out, err } = await runMainOk("rollback", name, "1", ...signing());
    expect(out).toBe(first);
    expect(err).toContain("as version 9007199254740001");
    expect((await runMainOk("rollback", name, second.slice(0, 9), ...signing())).out).toBe(second);
  });

  test.each([
    ["the present version", "2", 2, "is what it is now"],
    ["a version that never was", "77", 7, "no image 77"],
  ])("refuses %s", async (_, to, status, message) => {
    await release("old", "--version", "1");
    const id = await release("new", "--version", "2");
    const refused = await runMain("rollback", name, to, ...signing());
    expect(refused.status).toBe(status);
    expect(refused.err).toContain(message);
    expect(Store.open(at("store")).images.lookup(name)).toBe(id);
  });

  test("refuses a name with one image, and one that these keys have not signed", async () => {
    await release("only");
    expect((await runMain("rollback", name, ...signing())).err).toContain("no other image");
    expect((await runMain("rollback", "other", ...signing())).err).toContain("have not signed it");
  });

  test("does not count what others have signed, or put into the store", async () => {
    await release("good", "--version", "5");
    await runMainOk("keygen", "-o", at("mallory"));
    mkdirSync(at("evil"));
    writeFileSync(at("evil/file"), "evil ".repeat(100));
    const evil = ["build", `dir:${at("evil")}`, ...signing("mallory"), "--name", name];
    await runMainOk(...evil, "--version", "4");
    expect((await runMain("rollback", name, "4", ...signing())).status).toBe(7);
    expect((await runMain("rollback", name, ...signing())).status).toBe(7);
  });

  test("tells when the image was collected, and when objects of it are missing", async () => {
    const old = await release("old", "--version", "1");
    await release("new", "--version", "2");
    const store = Store.open(at("store"));
    const objects = store.images.ids().length;
    const [object] = await objectsOf(old);
    rmSync(store.objects.path(object!));
    const lacking = await runMain("rollback", name, ...signing());
    expect(lacking).toMatchObject({ status: 7 });
    expect(lacking.err).toContain(`1 of its 1 objects are not in ${at("store")}`);
    expect(objects).toBe(2);
    await runMainOk("gc", "--store", at("store"));
    expect((await runMain("rollback", name, ...signing())).status).toBe(7);
  });
});

/** The objects of an image, as its store shows them. */
async function objectsOf(id: string) {
  const { out } = await runMainOk("dump", id, "--store", at("store"));
  return [...out.matchAll(/ ([0-9a-f]{2}\/[0-9a-f]{62}) /g)]
    .map(([, path]) => path!.replace("/", ""))
    .filter((digest, i, all) => all.indexOf(digest) === i)
    .map((digest) => digest as Parameters<typeof objectPath>[0]);
}

describe("images", () => {
  test("lists the versions that names have had, the latest first", async () => {
    const [old, id] = [
      await release("old", "--version", "1"),
      await release("new", "--version", "2"),
    ];
    await runMainOk("tag", name, promoted, "--version", "8", ...signing());
    expect(await history()).toMatchObject([
      { name, version: 2, id, isCurrent: true },
      { name, version: 1, id: old, isCurrent: false },
      { name: promoted, version: 8, id, isCurrent: true },
    ]);
    const { out } = await runMainOk("images", name, "--history", "--store", at("store"));
    const [titles, ...rows] = out.split("\n");
    expect(titles).toMatch(/^VERSION +NOW +CREATED +EXPIRES +IMAGE ID +PLATFORM +NAME +SIGNED BY$/);
    expect(rows.map((row) => row.split(/ +/).slice(0, 2))).toEqual([
      ["2", "*"],
      ["1", expect.stringMatching(/^[0-9]{4}-/)],
    ]);
  });

  test("lists those that are named", async () => {
    const [old, id] = [await release("old"), await release("new")];
    const list = async (...args: string[]) =>
      (await runMainOk("images", "-q", "--no-trunc", "--store", at("store"), ...args)).out;
    expect(await list(name)).toBe(id);
    expect(await list(old.slice(0, 12))).toBe(old);
    expect((await runMain("images", "other", "--store", at("store"))).status).toBe(7);
  });
});
