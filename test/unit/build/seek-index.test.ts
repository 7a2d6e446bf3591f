/** The seek index from the build to the statement, through export and import, and looked at. */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { IntegrityError } from "../../../src/errors.ts";
import { verifyImage } from "../../../src/erofs/check.ts";
import { buildImage } from "../../../src/build/build-image.ts";
import type { BuildOptions } from "../../../src/build/build-options.ts";
import { exportImage } from "../../../src/archive/export.ts";
import { importImage } from "../../../src/archive/import.ts";
import { openSeekIndex } from "../../../src/fetch/open-seek-index.ts";
import { imageFacts, signFacts } from "../../../src/sign/sign-image.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { claimsOf } from "../../../src/store/claims.ts";
import { seekIndexPath } from "../../../src/store/seek-indexes.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { TrustPolicy } from "../../../src/trust/policy.ts";
import { mixedBytes } from "../../support/compressed-layers.ts";
import { runMain } from "../../support/run.ts";
import { tar, types } from "../../support/oci.ts";
import { layoutOf } from "../../support/seek-bed.ts";
import { alice, keyring, now } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

const name = "registry.example/app:1.0";
const layer = await tar([{ name: "file", content: mixedBytes(500_000) }]);
const compressed = () => layoutOf([{ tar: layer }]);
const plain = () => layoutOf([{ tar: layer, blob: layer, mediaType: types.tar }]);
let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

/** Builds and signs; gives what the statement says. */
async function build(layout = compressed(), options: Partial<BuildOptions> = {}) {
  const validity = { version: 1, created: now, expires: new Date(now.getTime() + 86_400_000) };
  const built = await buildImage(parseSource(`oci:${layout}`), {
    store,
    name,
    durability: "none",
    sign: ({ bytes, algorithm, seekIndex }) => {
      const facts = imageFacts(bytes, algorithm);
      const { keyId, bundle } = signFacts(facts, { name, key: alice, seekIndex, ...validity });
      return [{ keyId, name, bytes: bundle }];
    },
    ...options,
  });
  const [claim] = claimsOf(store.readBundles(built.digest));
  const image = verifyImage(built.bytes);
  return { id: built.digest, image, seekIndex: built.seekIndex, signed: claim!.seekIndex };
}

test("the digest of a seek index is signed, and the index is found by it", async () => {
  const { id, image, seekIndex, signed } = await build();
  expect(signed).toEqual(seekIndex);
  expect(signed!.digest).toMatch(/^sha256:/);
  const index = openSeekIndex(new Stores([store]), image, id, signed)!;
  expect(index.size).toBe(signed!.size);
  expect(index.digests().length).toBe(1);
});

test("an image of layers in two forms has an index for each", async () => {
  const first = await build(compressed());
  const second = await build(plain());
  expect(second.id).toBe(first.id);
  expect(second.seekIndex).not.toEqual(first.seekIndex);
  for (const { seekIndex } of [first, second]) {
    const index = openSeekIndex(new Stores([store]), first.image, first.id, seekIndex)!;
    expect(index.layers[0]!.compression).toBe(seekIndex === first.seekIndex ? "gzip" : "none");
  }
});

test("a build makes a seek index, unless --no-seek-index is given", async () => {
  const { id, image, seekIndex, signed } = await build(compressed(), { seekIndex: false });
  expect([seekIndex, signed]).toEqual([undefined, undefined]);
  expect(readdirSync(join(store.path, "seek"))).toEqual([]);
  expect(openSeekIndex(new Stores([store]), image, id, signed)).toBeUndefined();
  for (const [options, folders] of [
    [["--no-seek-index"], 0],
    [[], 1],
  ] as const) {
    const to = join(root, `cli${folders}`);
    const { status } = await runMain("build", `oci:${compressed()}`, "--store", to, ...options);
    expect(status).toBe(0);
    expect(readdirSync(join(to, "seek")).length).toBe(folders);
  }
});

test("a changed seek index is not used, and an intact one of another store is", async () => {
  const { id, image, signed } = await build();
  const other = Store.create(join(root, "other"));
  const path = join(store.path, seekIndexPath(id, signed!));
  rmSync(path);
  expect(openSeekIndex(new Stores([store]), image, id, signed)).toBeUndefined();
  writeFileSync(path, "something else");
  expect(() => openSeekIndex(new Stores([store]), image, id, signed)).toThrow(IntegrityError);
  const same = await build(compressed(), { store: other });
  expect(same.id).toBe(id);
  expect(openSeekIndex(new Stores([store, other]), image, id, signed)!.size).toBe(signed!.size);
});

test("a seek index is exported and imported with its image", async () => {
  const { id, image, signed } = await build();
  const parts: Uint8Array[] = [];
  await exportImage(store, name, (bytes) => parts.push(Uint8Array.from(bytes)));
  const archive = Buffer.concat(parts);
  const target = join(root, "target");
  const trust = { trust: TrustPolicy.ofKeyring(keyring), state: undefined };
  const pieces = async function* (bytes: Uint8Array) {
    yield bytes;
  };
  await importImage(target, pieces(archive), { trust, now, durability: "none" });
  const stores = new Stores([Store.open(target)]);
  expect(openSeekIndex(stores, image, id, signed)!.digests().length).toBe(1);

  const at = archive.indexOf("sealseek");
  const damaged = Buffer.from(archive);
  damaged[at + 40]! ^= 1;
  const importing = importImage(join(root, "no"), pieces(damaged), { trust, now });
  await expect(importing).rejects.toThrow(IntegrityError);
});

test("inspect shows what a seek index contains", async () => {
  await build();
  const args = ["inspect", name, "--store", store.path];
  const text = await runMain(...args, "--seek");
  expect(text.status).toBe(0);
  expect(text.out).toMatch(/^sha256:[0-9a-f]{64} +gzip +/m);
  const json = JSON.parse((await runMain(...args, "--seek", "--json")).out) as {
    layers: { points: number; objects: number; seekable: boolean }[];
  }[];
  expect(json[0]!.layers[0]).toMatchObject({ objects: 1, seekable: true });
  expect(json[0]!.layers[0]!.points).toBeGreaterThan(1);
});
