/** Leaf hashes of an image's large objects in one piece: right ones are kept, whichever process made them. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { keepLeafHashes, leafHashesSize, packLeafHashes } from "../../../src/store/leaf-hashes.ts";
import { Store } from "../../../src/store/store.ts";
import { verityDigestOf } from "../../../src/verity/index.ts";
import { contentOf, imageWith } from "../../support/store.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

const MIB = 1024 * 1024;
const files = {
  small: contentOf("small", 5000),
  edge: contentOf("edge", MIB),
  one: contentOf("one", MIB + 1),
  two: contentOf("two", 3 * MIB),
  again: contentOf("two", 3 * MIB),
};
const image = Image.open(imageWith(files));
const large = [files.one, files.two];
let scratch: string;
let maker: Store;
let taker: Store;

beforeEach(() => {
  scratch = scratchFolder();
  maker = Store.create(join(scratch, "maker"));
  taker = Store.create(join(scratch, "taker"));
  for (const content of Object.values(files)) put(content);
});

const put = (content: Uint8Array, digest = verityDigestOf(content)) =>
  writeFileSync(maker.objects.path(digest), content);

const kept = () => large.map((content) => taker.readLeaves(verityDigestOf(content)));

test("those of objects over 1 MiB, each once, come out as they went in", () => {
  const bytes = packLeafHashes(image, maker);
  expect(bytes.length).toBe(leafHashesSize(image));
  expect(bytes.length).toBe(
    large.reduce((sum, content) => sum + leavesOf(content).leaves.length, 0),
  );
  expect(keepLeafHashes(image, bytes, taker)).toBe(2);
  expect(kept()).toEqual(large.map((content) => leavesOf(content).leaves));
  expect(taker.readLeaves(verityDigestOf(files.edge))).toBeUndefined();
});

test("cached ones are used, and wrong ones among them made anew", () => {
  const digest = verityDigestOf(files.two);
  maker.writeLeaves(digest, Buffer.alloc(leavesOf(files.two).leaves.length, 1));
  expect(keepLeafHashes(image, packLeafHashes(image, maker), taker)).toBe(2);
  maker.writeLeaves(digest, leavesOf(files.two).leaves);
  rmSync(maker.objects.path(digest)); // not needed now
  expect(keepLeafHashes(image, packLeafHashes(image, maker), taker)).toBe(2);
});

test("what the maker does not have, or has wrong, is left out; the rest is good", () => {
  rmSync(maker.objects.path(verityDigestOf(files.one)));
  expect(keepLeafHashes(image, packLeafHashes(image, maker), taker)).toBe(1);
  expect(kept()[0]).toBeUndefined();
  put(contentOf("other", 3 * MIB), verityDigestOf(files.two));
  expect(packLeafHashes(image, maker).every((byte) => byte === 0)).toBe(true);
});

test("those that are changed anywhere are not kept; of another length none is", () => {
  const bytes = packLeafHashes(image, maker);
  const changed = Uint8Array.from(bytes);
  changed[changed.length - 1]! ^= 1;
  expect(keepLeafHashes(image, changed, taker)).toBe(1);
  for (const other of [
    bytes.subarray(1),
    Buffer.concat([bytes, Buffer.alloc(1)]),
    new Uint8Array(0),
  ]) {
    expect(() => keepLeafHashes(image, other, taker)).toThrow(
      expect.objectContaining({ code: "SIZE_MISMATCH" }),
    );
  }
});

test("an image without large objects has none", () => {
  const small = Image.open(imageWith({ small: files.small }));
  expect(leafHashesSize(small)).toBe(0);
  expect(packLeafHashes(small, maker).length).toBe(0);
  expect(keepLeafHashes(small, new Uint8Array(0), taker)).toBe(0);
});

test("cached ones are read up to their limit", () => {
  const digest = verityDigestOf(files.two);
  const { leaves } = leavesOf(files.two);
  maker.writeLeaves(digest, leaves);
  lower("leafBytes", leaves.length);
  expect(maker.readLeaves(digest)).toEqual(leaves);
  lower("leafBytes", leaves.length - 1);
  expect(maker.readLeaves(digest)).toBeUndefined();
});
