/** An image as one tar and back; what such a tar must not be (docs/hostile-inputs.md, 163). */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Header, extract, pack } from "tar-stream";
import { beforeEach, describe, expect, test } from "vitest";
import { exportImage } from "../../../src/archive/export.ts";
import { type ImportOptions, importImage } from "../../../src/archive/import.ts";
import { limits } from "../../../src/limits.ts";
import { claimsOf } from "../../../src/store/claims.ts";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { TrustPolicy } from "../../../src/trust/policy.ts";
import { objectPath, type VerityDigest } from "../../../src/verity/verity-digest.ts";
import { runMain } from "../../support/run.ts";
import { bundleFor, contentOf, damage, digestOf, objectsIn, publish } from "../../support/store.ts";
import { alice, keyring, mallory, now } from "../../support/trust.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";

const name = "registry.example/app:1.0";
const trust = { trust: TrustPolicy.ofKeyring(keyring), state: undefined };
let root: string;
let store: Store;
let id: VerityDigest;
let target: string;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
  id = publish(store, name, ["a", "b"], { version: 1 });
  target = join(root, "target");
});

async function archiveOf(what = name): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await exportImage(store, what, (bytes) => parts.push(Uint8Array.from(bytes)));
  return Buffer.concat(parts);
}

async function* pieces(bytes: Uint8Array, size = 1000) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const imported = (archive: Uint8Array, options: Partial<ImportOptions> = {}) =>
  importImage(target, pieces(archive), { trust, now, durability: "none", ...options });

interface Entry {
  header: Partial<Header> & { name: string };
  body: Buffer;
}

async function entriesOf(archive: Uint8Array): Promise<Entry[]> {
  const reader = extract();
  reader.end(archive);
  const entries: Entry[] = [];
  for await (const entry of reader) {
    const parts: Buffer[] = [];
    for await (const part of entry as AsyncIterable<Buffer>) parts.push(part);
    entries.push({ header: entry.header, body: Buffer.concat(parts) });
  }
  return entries;
}

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { header, body } of entries) {
    const { name: path, type, linkname } = header;
    if (type === "symlink") archive.entry({ name: path, type, linkname: linkname! });
    else archive.entry({ name: path, type: type ?? "file" }, body);
  }
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** The archive with its entries changed. */
async function changed(change: (entries: Entry[]) => Entry[]): Promise<Buffer> {
  return tarOf(change(await entriesOf(await archiveOf())));
}

const path = (seed: string) => `objects/${objectPath(digestOf(seed))}`;

describe("an exported image", () => {
  test("comes back whole, with its name and its bundle", async () => {
    const result = await imported(await archiveOf());
    expect(result).toMatchObject({ id, name, added: 3 });
    expect(result.verified?.keyIds).toEqual([alice.publicKey.id]);
    const copy = Store.open(target);
    expect(copy.images.refs()).toEqual([{ name, id, platform: undefined }]);
    expect(objectsIn(copy)).toEqual(objectsIn(store));
    expect(copy.readBundles(id)).toHaveLength(1);
    expect(await checkStore(copy, { threads: 0 })).toMatchObject({ good: true, objects: 3 });
    expect(readdirSync(join(target, "tmp"))).toEqual([]);
  });

  test("has as many bundles as an import takes, first those of its name", async () => {
    lower("bundles", 3);
    const image = store.readImage(id);
    const others = ["a", "b", "c"].map((other, i) => bundleFor(image, other, 10 + i));
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.publish({ image: id, bundles: others });
    transaction.close();
    expect(store.readBundles(id)).toHaveLength(limits.bundles + 1);
    await imported(await archiveOf());
    const names = claimsOf(Store.open(target).readBundles(id)).map((claim) => claim.name);
    expect(names.sort()).toEqual(["b", "c", name].sort());
    const archive = await archiveOf();
    lower("bundles", 2);
    await expect(imported(archive)).rejects.toMatchObject({
      code: "LIMIT",
      message: "archive: expected at most 2 bundles, got more",
    });
  });

  test("is the same archive every time, and comes back from pieces of any size", async () => {
    const archive = await archiveOf();
    expect((await archiveOf()).equals(archive)).toBe(true);
    for (const size of [1, 511, archive.length]) {
      const result = await importImage(target, pieces(archive, size), {
        trust,
        now,
        durability: "none",
      });
      expect(result.id).toBe(id);
    }
  });

  test("with an object larger than any buffer comes back", async () => {
    const { Transaction } = await import("../../../src/store/transaction.ts");
    const { verityDigestOf } = await import("../../../src/verity/hasher.ts");
    const { bundleFor, imageWith } = await import("../../support/store.ts");
    const content = contentOf("large", 3_000_001);
    const image = imageWith({ large: content });
    const large = verityDigestOf(image);
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.put(verityDigestOf(content), content);
    transaction.put(large, image);
    transaction.publish({ image: large, name: "large", bundles: [bundleFor(image, "large", 1)] });
    transaction.close();
    expect(await imported(await archiveOf("large"))).toMatchObject({ id: large, added: 2 });
    Store.open(target).objects.verify(verityDigestOf(content));
  });

  test("unpacked with tar is a store", async () => {
    mkdirSync(target);
    spawnSync("tar", ["-x", "-C", target], { input: await archiveOf() });
    const copy = Store.open(target);
    expect(copy.images.resolve(name)).toBe(id);
    copy.objects.verify(digestOf("a"));
    expect(copy.readBundles(id)).toHaveLength(1);
  });

  test("by its id has no name; then one is asked for, or a person must look", async () => {
    const archive = await archiveOf(id);
    const result = await imported(archive);
    expect(result.name).toBeUndefined();
    expect(result.verified?.nameChecked).toBe(false);
    expect(await imported(archive, { name })).toMatchObject({ name });
    await expect(imported(archive, { name: "other" })).rejects.toMatchObject({
      code: "WRONG_NAME",
    });
  });

  test("that is damaged in the store is not exported", async () => {
    damage(store, digestOf("b"));
    await expect(archiveOf()).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    rmSync(store.objects.path(digestOf("b")));
    await expect(archiveOf()).rejects.toMatchObject({ code: "NO_OBJECT" });
    await expect(archiveOf("nothing")).rejects.toMatchObject({ code: "NO_REF" });
  });

  test("ends with the error of who takes it", async () => {
    const stop = exportImage(store, name, () => {
      throw new Error("disk full");
    });
    await expect(stop).rejects.toThrow("disk full");
    expect(readdirSync(join(store.path, "leases"))).toEqual([]);
  });
});

describe("an import is refused, and nothing is published,", () => {
  async function refused(archive: Uint8Array, code: string, options: Partial<ImportOptions> = {}) {
    Store.create(target);
    await expect(imported(archive, options)).rejects.toMatchObject({ code });
    const copy = Store.open(target);
    expect(objectsIn(copy)).toEqual([]);
    expect(copy.images.list()).toEqual([]);
    expect(readdirSync(join(target, "tmp"))).toEqual([]);
    expect(readdirSync(join(target, "bundles"))).toEqual([]);
  }

  test("when nobody trusted has signed it", async () => {
    publish(store, name, ["a", "b"], { version: 2, key: mallory });
    const archive = await changed((entries) =>
      entries.filter(
        ({ header, body }) =>
          !header.name.startsWith("bundles/") || body.includes(mallory.publicKey.id),
      ),
    );
    await refused(archive, "UNTRUSTED_KEY");
    const bare = await changed((entries) =>
      entries.filter(({ header }) => !header.name.startsWith("bundles/")),
    );
    await refused(bare, "NO_BUNDLE");
    expect((await imported(bare, { trust: undefined })).verified).toBeUndefined();
  });

  test("when it was signed under another name, or the signature has expired", async () => {
    await refused(await archiveOf(), "WRONG_NAME", { name: "other" });
    await refused(await archiveOf(), "EXPIRED", { now: new Date("2030-01-01") });
  });

  test("when it is cut anywhere before its end blocks", async () => {
    const archive = await archiveOf();
    const cut = { code: expect.stringMatching(/^(TRUNCATED|NO_OBJECT|MALFORMED)$/) };
    for (let at = 0; at < archive.length - 2048; at += 997) {
      await expect(imported(archive.subarray(0, at)), String(at)).rejects.toMatchObject(cut);
    }
    expect(existsSync(target) ? Store.open(target).images.list() : []).toEqual([]);
    // All that it holds is there.
    expect(await imported(archive.subarray(0, -1024))).toMatchObject({ added: 3 });
  });

  test("when an object has another content", async () => {
    const archive = await archiveOf();
    archive[archive.indexOf(contentOf("b").subarray(0, 100)) + 50]! ^= 1;
    await refused(archive, "DIGEST_MISMATCH");
  });

  test.each<[string, string, (entries: Entry[]) => Entry[]]>([
    ["an object is missing", "NO_OBJECT", (all) => all.filter((e) => e.header.name !== path("a"))],
    ["an object is there twice", "MALFORMED", (all) => [...all, all.at(-1)!]],
    [
      "an object is not of this image",
      "MALFORMED",
      (all) => [...all, { header: { name: path("z") }, body: contentOf("z") }],
    ],
    [
      "an object is shorter than the image says",
      "SIZE_MISMATCH",
      (all) =>
        all.map((e) => (e.header.name === path("a") ? { ...e, body: e.body.subarray(1) } : e)),
    ],
    [
      "objects come before the image",
      "MALFORMED",
      (all) => {
        const image = all.find((e) => e.header.name === `objects/${objectPath(id)}`)!;
        return [...all.filter((e) => e !== image), image];
      },
    ],
    ["meta.json is missing", "MALFORMED", (all) => all.slice(1)],
    [
      "something comes before meta.json",
      "MALFORMED",
      ([first, second, ...all]) => [second!, first!, ...all],
    ],
    [
      "meta.json is of a newer format",
      "UNSUPPORTED",
      ([first, ...all]) => [
        { ...first!, body: Buffer.from('{"version":99,"algorithm":"fsverity-sha256-12"}') },
        ...all,
      ],
    ],
    [
      "a path leads out",
      "MALFORMED",
      (all) => [{ header: { name: "../../evil" }, body: Buffer.from("x") }, ...all],
    ],
    [
      "a path is absolute",
      "MALFORMED",
      (all) => [{ header: { name: "/etc/evil" }, body: Buffer.from("x") }, ...all],
    ],
    [
      "a ref leads elsewhere",
      "MALFORMED",
      (all) =>
        all.map((e) =>
          e.header.name.startsWith("images/refs/")
            ? { ...e, header: { ...e.header, linkname: "../../../../etc/passwd" } }
            : e,
        ),
    ],
    [
      "there are two names",
      "MALFORMED",
      (all) => {
        const at = all.findIndex((e) => e.header.name.startsWith("images/refs/"));
        return [
          ...all.slice(0, at + 1),
          { ...all[at]!, header: { ...all[at]!.header, name: "images/refs/two" } },
          ...all.slice(at + 1),
        ];
      },
    ],
    [
      "an object is a symlink",
      "MALFORMED",
      (all) =>
        all.map((e) =>
          e.header.name === path("a")
            ? {
                header: { name: path("a"), type: "symlink", linkname: "/etc/passwd" },
                body: e.body,
              }
            : e,
        ),
    ],
    [
      "a bundle is malformed",
      "BAD_BUNDLE",
      (all) =>
        all.map((e) =>
          e.header.name.startsWith("bundles/") ? { ...e, body: Buffer.from("{}") } : e,
        ),
    ],
    ["it is empty", "TRUNCATED", () => []],
  ])("when %s", async (_, code, change) => {
    await refused(await changed(change), code);
  });

  test("when meta.json claims to be huge, without taking the memory", async () => {
    const archive = await archiveOf();
    const huge = await tarOf([{ header: { name: "meta.json" }, body: Buffer.alloc(70_000, 32) }]);
    await refused(huge, "LIMIT");
    expect(archive.length).toBeLessThan(40_000);
  });

  test("when an object that both lack is only claimed to be there", async () => {
    const archive = await changed((all) => all.filter((e) => e.header.name !== path("a")));
    const copy = Store.create(target);
    mkdirSync(join(target, "objects", digestOf("a").slice(0, 2)), { recursive: true });
    writeFileSync(copy.objects.path(digestOf("a")), contentOf("x"));
    await expect(imported(archive)).rejects.toMatchObject({ code: "NO_OBJECT" });
    expect(copy.images.list()).toEqual([]);
    writeFileSync(copy.objects.path(digestOf("a")), contentOf("a"));
    expect(await imported(archive)).toMatchObject({ id, added: 2 });
  });
});

test("the commands pass an image from one store to another", async () => {
  const key = join(root, "key");
  await runMain("keygen", "-o", key);
  await runMain("sign", name, "--store", store.path, "--key", `${key}.key`);
  const exported = await runMain("export", name, "--store", store.path);
  expect(exported.status).toBe(0);
  writeFileSync(join(root, "app.tar"), exported.bytes);
  const args = ["import", join(root, "app.tar"), "--store", target, "--state", "none"];
  expect((await runMain(...args)).status).toBe(2);
  expect((await runMain(...args, "--unverified", "--key", `${key}.pub`)).status).toBe(2);
  const result = await runMain(...args, "--key", `${key}.pub`, "--json");
  expect(result.status).toBe(0);
  expect(JSON.parse(result.out)).toMatchObject({ id, name, added: 3 });
  expect(
    (await runMain("import", join(root, "none.tar"), ...args.slice(2), "--key", `${key}.pub`))
      .status,
  ).not.toBe(0);
});
