/** Whom a pull and a fetch trust: policies met by several artifacts together, and TUF's listing. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { TestLayout, layerTar, types } from "../../support/oci.ts";
import { PASSWORD, TestRegistry, USER } from "../../support/registry.ts";
import { runMain, runMainOk } from "../../support/run.ts";
import { alice, testKey } from "../../support/trust.ts";
import { TufRepository } from "../../support/tuf.ts";
import { scratchFolder } from "../../support/scratch.ts";

const REPO = "team/app";
const text = Array.from({ length: 3000 }, (_, i) => `${i * i}\n`).join("");
const people = { alice, bob: testKey(3), carol: testKey(4) };

let folder: string;
let registry: TestRegistry;
const at = (file: string) => join(folder, file);
const reference = () => `docker://${registry.host}/${REPO}:1.0`;
const name = () => `${registry.host}/${REPO}:1.0`;
const auth = () => ["--authfile", at("auth.json")];

/** An image with a label, in a registry that wants credentials. */
async function pushedImage(): Promise<void> {
  const layout = new TestLayout();
  const labels = { "containers.composefs.fsverity": "ab".repeat(32) };
  const manifest = layout.image([await layerTar(text)], { config: { config: { Labels: labels } } });
  const path = `blobs/${manifest.digest.replace(":", "/")}`;
  for (const [file, bytes] of layout.files) {
    if (file.startsWith("blobs/") && file !== path) registry.addBlob(REPO, bytes);
  }
  registry.addManifest(REPO, "1.0", types.manifest, layout.files.get(path)!);
}

beforeEach(async () => {
  folder = scratchFolder();
  for (const [who, key] of Object.entries(people)) {
    writeFileSync(at(`${who}.key`), key.toPem(), { mode: 0o600 });
    writeFileSync(at(`${who}.pub`), key.publicKey.toPem());
  }
  registry = await TestRegistry.start({ referrers: true, auth: "basic" });
  const credential = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
  writeFileSync(
    at("auth.json"),
    JSON.stringify({ auths: { [registry.host]: { auth: credential } } }),
  );
  writeFileSync(at("none.json"), "{}");
  await pushedImage();
});

/** Builds, signs and pushes with a store of one's own: the same statement bytes for everyone. */
async function publishBy(who: keyof typeof people): Promise<string> {
  const created = `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 14)}00:00Z`;
  const times = ["--created", created, "--expires", "30d", "--version", "5"];
  const named = ["--name", name(), "--key", at(`${who}.key`), ...times, ...auth()];
  await runMainOk("build", reference(), "--store", at(who), "--durability", "none", ...named);
  const { out } = await runMainOk(
    "push",
    name(),
    reference(),
    "--store",
    at(who),
    "--json",
    ...auth(),
  );
  return JSON.parse(out).id;
}

const pull = (...trust: string[]) =>
  runMain("pull", reference(), "--json", "--store", at("client"), ...trust, ...auth());

describe("a policy that wants two keys", () => {
  beforeEach(async () => {
    const keys = ["alice", "bob"].flatMap((who) => ["--key", at(`${who}.pub`)]);
    const rest = ["--names", "**", "--threshold", "2"];
    await runMainOk("policy", "init", at("policy"), "--name", "fleet", ...keys, ...rest);
    for (const who of ["alice", "bob"]) {
      await runMain("policy", "sign", at("policy"), "--key", at(`${who}.key`));
    }
  });
  const trust = () => ["--policy", at("policy"), "--state", at("state")];

  test("is met by artifacts that their owners pushed one by one", async () => {
    const id = await publishBy("alice");
    const below = await pull(...trust());
    expect(below.status).toBe(5);
    expect(below.err).toContain("needs 2 keys, signed by 1");
    expect(existsSync(at("client"))).toBe(false);
    expect(await publishBy("bob")).toBe(id);
    const good = await pull(...trust());
    expect(good).toMatchObject({ status: 0 });
    expect(JSON.parse(good.out)).toMatchObject({ id, version: 5 });
    // What was kept is enough to verify again, without the registry.
    expect(await runMain("verify", name(), "--store", at("client"), ...trust())).toMatchObject({
      status: 0,
    });
  });

  test("is not met by a key that it does not know", async () => {
    await publishBy("alice");
    await publishBy("carol");
    expect((await pull(...trust())).status).toBe(5);
  });
});

describe("with --tuf", () => {
  let repository: TufRepository;
  const trust = () => {
    const listed = ["--tuf", at("tuf"), "--tuf-root", repository.root];
    return ["--key", at("alice.pub"), "--state", at("state"), ...listed];
  };
  const bundle = (store: string, id: string) => {
    const bundles = join(at(store), "bundles", id);
    return readFileSync(join(bundles, readdirSync(bundles)[0]!));
  };
  beforeEach(() => {
    repository = new TufRepository(at("tuf"));
    const year = new Date().getUTCFullYear() + 1;
    for (const role of ["root", "timestamp", "snapshot", "targets"] as const) {
      repository.expires[role] = `${year}-01-01T00:00:00Z`;
    }
    repository.publish("root", "targets", "snapshot", "timestamp");
  });

  test("pull takes the image that is listed, and none without a listing", async () => {
    const id = await publishBy("alice");
    const unlisted = await pull(...trust());
    expect(unlisted.status).toBe(5);
    expect(unlisted.err).toContain(name());
    expect(existsSync(at("client"))).toBe(false);
    repository.add(`${name()}.bundle.json`, bundle("alice", id));
    const good = await pull(...trust());
    expect(good).toMatchObject({ status: 0 });
    expect(JSON.parse(good.out)).toMatchObject({ id });
  });

  test("fetch takes what is listed now, and no older image, though it is in the store", async () => {
    const id = await publishBy("alice");
    repository.add(`${name()}.bundle.json`, bundle("alice", id));
    await runMainOk("pull", reference(), "--store", at("client"), ...trust(), ...auth());
    const fetch = () =>
      runMain(
        "fetch",
        name(),
        "--store",
        at("client"),
        "--mirrors",
        "none",
        ...trust(),
        "--mirror",
        at("alice"),
      );
    // The listing moves on to another image.
    const other = at("other");
    const built = await runMainOk(
      "build",
      `tar:${await layerFile()}`,
      "--store",
      other,
      "--name",
      name(),
      "--key",
      at("alice.key"),
      "--version",
      "9",
    );
    const otherId = built.out.trim().split(/\s/)[0]!;
    const before = bundle("alice", id);
    repository.add(`${name()}.bundle.json`, bundle("other", otherId));
    const stale = await fetch();
    expect(stale.status).toBe(5);
    expect(stale.err).toContain("is not the one that");
    repository.add(`${name()}.bundle.json`, before);
    expect(await fetch()).toMatchObject({ status: 0 });
  });

  async function layerFile(): Promise<string> {
    writeFileSync(at("layer.tar"), await layerTar("something else".repeat(100)));
    return at("layer.tar");
  }
});

describe("an image that only another option names", () => {
  test("label --check asks a registry with the credentials that are named", async () => {
    await publishBy("alice");
    const label = (...more: string[]) =>
      runMain("label", name(), "--store", at("alice"), "--check", reference(), ...more);
    expect((await label("--authfile", at("none.json"))).status).toBe(6);
    const asked = await label(...auth());
    expect(asked.status).toBe(4);
    expect(asked.err).toContain("its label says abab");
    const elsewhere = await label(...auth(), "--platform", "linux/arm64");
    expect(elsewhere).toMatchObject({ status: 7 });
    expect(elsewhere.err).toContain("arm64");
  });

  test.each([
    ["sign", ["--composefs-pkcs7", "--cert", "cert.pem", "--key", "cert.key"]],
    ["verify", ["--cert", "cert.pem", "--signature", "image.composefs"]],
  ])("%s --source takes the same options", async (command, _options) => {
    const { out } = await runMain(command, "--help");
    for (const option of ["--authfile", "--ca-file", "--tls-verify", "--platform"]) {
      expect(out).toContain(option);
    }
  });
});
