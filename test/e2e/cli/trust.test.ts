/** The commands keygen, sign and verify, as their user calls them. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../../support/run.ts";
import { readKeyring } from "../../../src/keys/key-files.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { scratchFolder } from "../../support/scratch.ts";

const image = goldenImage("ext-basic.v1").bytes;
const id = verityDigestOf(image);
let folder: string;
const at = (name: string) => join(folder, name);

beforeEach(async () => {
  folder = scratchFolder();
  writeFileSync(at("app.img"), image);
  await runMain("keygen", "-o", at("alice"));
  await runMain("keygen", "-o", at("mallory"));
});

const sign = (...more: string[]) => runMain("sign", ...more, "--key", at("alice.key"));
const verify = (...more: string[]) => runMain("verify", ...more, "--key", at("alice.pub"));

test("keygen prints the key's id, and overwrites nothing", async () => {
  const { status, out } = await runMain("keygen", "-o", at("third"));
  expect(status).toBe(0);
  expect(out).toBe(readKeyring([at("third.pub")], []).keys[0]!.id);
  expect(await runMain("keygen", "-o", at("third"))).toMatchObject({ status: 2, out: "" });
});

describe("a file", () => {
  test("is signed beside itself, and verified", async () => {
    const signed = await sign(at("app.img"), "--name", "app:1.0", "--expires", "30d");
    expect(signed).toMatchObject({ status: 0, out: id });
    expect(existsSync(at("app.img.bundle.json"))).toBe(true);
    const verified = await verify(at("app.img"), "--name", "app:1.0");
    expect(verified.status).toBe(0);
    expect(verified.out).toContain("verified    app:1.0");
    expect(verified.out).toContain(id);
    expect(verified.err).toBe("");
  });

  test("verified without a name says that the name is the reader's to look at", async () => {
    await sign(at("app.img"), "--name", "app:1.0");
    const verified = await verify(at("app.img"));
    expect(verified.status).toBe(0);
    expect(verified.err).toContain("no name was asked for");
  });

  test("gives one JSON document", async () => {
    const made = ["--created", "2026-09-01", "--expires", "2036-09-01", "--version", "7"];
    await sign(at("app.img"), "--name", "app:1.0", ...made);
    const { out } = await verify(at("app.img"), "--name", "app:1.0", "--json");
    expect(JSON.parse(out)).toMatchObject({
      name: "app:1.0",
      verityDigest: id,
      size: image.length,
      version: 7,
      created: "2026-09-01T00:00:00Z",
      expires: "2036-09-01T00:00:00Z",
      objects: { count: 1, bytes: 12345 },
      nameChecked: true,
    });
  });

  test("is signed into the file that is named", async () => {
    await sign(at("app.img"), "--name", "app:1.0", "-o", at("bundle"));
    expect(existsSync(at("app.img.bundle.json"))).toBe(false);
    expect((await verify(at("app.img"))).status).toBe(5);
    expect((await verify(at("app.img"), "--bundle", at("bundle"))).status).toBe(0);
  });

  test("needs a name to be signed under", async () => {
    const signed = await sign(at("app.img"));
    expect(signed.status).toBe(2);
    expect(signed.err).toContain("--name");
  });

  test("that is no image is not signed", async () => {
    writeFileSync(at("text"), "text");
    expect((await sign(at("text"), "--name", "app")).status).toBe(3);
    expect(existsSync(at("text.bundle.json"))).toBe(false);
  });

  test("is refused with exit status 5 by any other key, name, image, time or bundle", async () => {
    await sign(at("app.img"), "--name", "app:1.0");
    const words: string[] = [];
    const refused = async (...argv: string[]) => {
      const { status, out, err } = await runMain("verify", ...argv);
      expect({ status, out }).toEqual({ status: 5, out: "" });
      words.push(err.split("\n")[0]!);
    };
    const alice = ["--key", at("alice.pub")];
    await refused(at("app.img"), "--key", at("mallory.pub"));
    await refused(at("app.img"), "--name", "app:1.1", ...alice);
    writeFileSync(at("other.img"), goldenImage("ext-1-byte.v1").bytes);
    await refused(at("other.img"), "--bundle", at("app.img.bundle.json"), ...alice);
    await refused(at("other.img"), ...alice);
    const bundle = readFileSync(at("app.img.bundle.json"), "utf8");
    writeFileSync(at("flipped"), bundle.replace('"payload":"eyJ', '"payload":"eyK'));
    await refused(at("app.img"), "--bundle", at("flipped"), ...alice);
    const past = ["--created", "2020-01-01", "--expires", "2020-02-01", "-o", at("past")];
    await sign(at("app.img"), "--name", "app:1.0", ...past);
    await refused(at("app.img"), "--bundle", at("past"), ...alice);
    expect(new Set(words).size).toBe(words.length);
    const patterns = [
      /^sealfs: bundle: signed by "SHA256:.*", which is not trusted$/,
      /^sealfs: statement: expected the name "app:1.1", got "app:1.0"$/,
      /^sealfs: image: sha256: signed was .*, got /,
      /^sealfs: image: no bundle/,
      /^sealfs: bundle: the signature by SHA256:.* does not fit the bundle's bytes$/,
      /^sealfs: statement: expired 2020-02-01T00:00:00Z, now is /,
    ];
    for (const [i, pattern] of patterns.entries()) expect(words[i]).toMatch(pattern);
  });

  test("is not verified without saying whom to trust", async () => {
    const { status, err } = await runMain("verify", at("app.img"));
    expect(status).toBe(2);
    expect(err).toMatch(/^sealfs: --key: expected a public key to trust, got none\n {2}.*--policy/);
  });

  test("that is not a file may be in a store, which a refusal tells", async () => {
    const { status, err } = await verify("app:1.0");
    expect(status).toBe(7);
    expect(err).toBe(
      "sealfs: image app:1.0: no such file\n  an image in a store is found with --store",
    );
  });
});

describe("an image in a store", () => {
  let store: string;
  beforeEach(() => {
    store = at("store");
    const transaction = Transaction.begin(Store.create(store), { durability: "none" });
    transaction.put(id, image);
    transaction.publish({ image: id, name: "registry.example/app:1.0" });
    transaction.close();
  });

  test("is signed under its name, and verified by it", async () => {
    expect(await sign("registry.example/app:1.0", "--store", store)).toMatchObject({ status: 0 });
    const verified = await verify("registry.example/app:1.0", "--store", store);
    expect(verified).toMatchObject({ status: 0, err: "" });
    expect(verified.out).toContain("verified    registry.example/app:1.0");
    const byId = await verify(id, "--store", store);
    expect(byId.status).toBe(0);
    expect(byId.err).toContain("no name was asked for");
  });

  test("may have several names and several signers", async () => {
    await sign("registry.example/app:1.0", "--store", store);
    await sign(id, "--store", store, "--name", "registry.example/app:latest");
    await runMain("sign", id, "--store", store, "--name", "app", "--key", at("mallory.key"));
    expect(Store.open(store).readBundles(id)).toHaveLength(3);
    for (const name of ["registry.example/app:1.0", "registry.example/app:latest"]) {
      expect((await verify(id, "--store", store, "--name", name)).status).toBe(0);
    }
    expect((await verify(id, "--store", store, "--name", "app")).status).toBe(5);
  });

  test("with more names than bundles are read is verified under each", async () => {
    const signed = Store.open(store).images.resolve("registry.example/app:1.0");
    await sign(signed, "--store", store, "--name", "registry.example/app:latest");
    const { path, bytes } = Store.open(store).readBundles(id)[0]!;
    const [keyId] = basename(path).split("~");
    for (let i = 0; i < 100; i++) {
      const mark = i.toString(16).padStart(16, "0");
      writeFileSync(join(dirname(path), `${keyId}~${mark}.json`), bytes);
    }
    await sign("registry.example/app:1.0", "--store", store);
    expect((await verify("registry.example/app:1.0", "--store", store)).status).toBe(0);
    expect((await verify(id, "--store", store, "--name", "app:2")).status).toBe(5);
  });

  test("is verified though a hundred strangers' bundles lie beside the good one", async () => {
    await sign("registry.example/app:1.0", "--store", store);
    const { path } = Store.open(store).readBundles(id)[0]!;
    for (let i = 0; i < 100; i++) writeFileSync(join(dirname(path), `0${i}.json`), "{}");
    expect((await verify("registry.example/app:1.0", "--store", store)).status).toBe(0);
    const refused = await runMain("verify", id, "--store", store, "--key", at("mallory.pub"));
    expect(refused.status).toBe(5);
    expect(refused.err).toContain("none of 64 bundles is good");
  });

  test("is verified though files beside the good bundle cannot be read, which a refusal tells", async () => {
    await sign("registry.example/app:1.0", "--store", store);
    const bundles = dirname(Store.open(store).readBundles(id)[0]!.path);
    writeFileSync(join(bundles, "0.json"), Buffer.alloc(1024 * 1024 + 1));
    mkdirSync(join(bundles, "1.json"));
    expect((await verify("registry.example/app:1.0", "--store", store)).status).toBe(0);
    const refused = await runMain("verify", id, "--store", store, "--key", at("mallory.pub"));
    expect(refused.status).toBe(5);
    expect(refused.err).toMatch(/none of 3 bundles is good: .*signed by/);
    expect(refused.err).toMatch(/not readable: .*0\.json: .*; not readable: .*1\.json: /);
  });

  test("that the store names otherwise than it was signed is refused", async () => {
    await sign(id, "--store", store, "--name", "registry.example/other:1.0");
    const verified = await verify("registry.example/app:1.0", "--store", store);
    expect(verified.status).toBe(5);
    expect(verified.err).toContain('expected the name "registry.example/app:1.0"');
  });

  test("that is not signed is refused, and one that is not there is not found", async () => {
    const verified = await verify("registry.example/app:1.0", "--store", store);
    expect(verified).toMatchObject({ status: 5, out: "" });
    expect(verified.err).toContain("no bundle");
    expect((await verify("registry.example/app:2.0", "--store", store)).status).toBe(7);
    expect((await verify("app", "--store", at("nowhere"))).status).toBe(7);
  });

  test("whose bytes were changed is neither signed nor verified", async () => {
    await sign("registry.example/app:1.0", "--store", store);
    const path = Store.open(store).objects.path(id);
    chmodSync(path, 0o644);
    writeFileSync(path, goldenImage("ext-1-byte.v1").bytes);
    expect((await sign("registry.example/app:1.0", "--store", store)).status).toBe(4);
    expect((await verify("registry.example/app:1.0", "--store", store)).status).toBe(5);
  });
});

test("the test key pair in keys/ works, and says what it is", async () => {
  const key = fileURLToPath(new URL("../../../keys/TEST-ONLY.key", import.meta.url));
  copyFileSync(key, at("test.key"));
  chmodSync(at("test.key"), 0o600);
  const signed = await runMain("sign", at("app.img"), "--name", "app", "--key", at("test.key"));
  expect(signed.status).toBe(0);
  const pub = key.replace(/key$/, "pub");
  const verified = await runMain("verify", at("app.img"), "--key", pub);
  expect(verified.status).toBe(0);
  expect(verified.err).toContain("everybody has its private half");
  await sign(at("app.img"), "--name", "app");
  expect((await verify(at("app.img"), "--name", "app")).err).toBe("");
  for (const path of [key, pub]) expect(readFileSync(path, "utf8")).toContain("never trust it");
});
