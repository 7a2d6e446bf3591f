import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadLibc } from "../../../src/sys/koffi.ts";
import { Sha256Lanes, hashInLanes } from "../../../src/sys/sha256-lanes.ts";
import {
  VERITY_BLOCK_SIZE,
  VerityHasher,
  blockHash,
  nodeHash,
  portableHash,
  verifyBlocks,
  verityDigestOf,
} from "../../../src/verity/index.ts";

const HASH_BYTES = 32;
const plain = nodeHash("sha256")!;
const portable = portableHash("sha256");
const lanes = Sha256Lanes.load(plain);
/** Whether this Node has OpenSSL's function, whatever we make of it. */
const isThere = (() => {
  try {
    loadLibc().func("void sha256_multi_block(void *context, const void *inputs, int quartets)");
    return process.arch === "x64";
  } catch {
    return false;
  }
})();

const bytesOf = (size: number, seed: number) =>
  Uint8Array.from({ length: size }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 24);

// OpenSSL has it for x86-64 only, and Node's executable exports it only where OpenSSL is built in.
describe.skipIf(!isThere)(
  "several blocks at a time (needs koffi, and a Node for x64 with its own OpenSSL)",
  () => {
    test("gives the hashes of blocks one by one, wherever they lie", () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 0, max: 11 }),
          fc.integer({ min: 0, max: 70 }),
          fc.integer({ min: 0, max: 70 }),
          fc.nat(),
          (count, at, to, seed) => {
            const data = bytesOf(at + count * VERITY_BLOCK_SIZE + 5, seed);
            const [wanted, got] = [portable, lanes!].map((hash) => {
              const out = new Uint8Array(to + count * HASH_BYTES + 3);
              hash.hashBlocks(data, at, count, out, to);
              return out;
            });
            expect(got).toEqual(wanted);
          },
        ),
        { numRuns: process.env["SLOW"] ? 1000 : 100 },
      );
    });

    test("may write its hashes over what it has read", () => {
      const data = bytesOf(9 * VERITY_BLOCK_SIZE, 3);
      const wanted = new Uint8Array(9 * HASH_BYTES);
      portable.hashBlocks(data, 0, 9, wanted, 0);
      lanes!.hashBlocks(data, 0, 9, data, 0);
      expect(data.subarray(0, wanted.length)).toEqual(wanted);
    });

    test("its memory outlives garbage collections", () => {
      const data = bytesOf(8 * VERITY_BLOCK_SIZE, 5);
      const wanted = new Uint8Array(8 * HASH_BYTES);
      portable.hashBlocks(data, 0, 8, wanted, 0);
      const out = new Uint8Array(wanted.length);
      for (let i = 0; i < 3000; i++) {
        bytesOf(2000, i); // garbage
        lanes!.hashBlocks(data, 0, 8, out.fill(0), 0);
        if (Buffer.compare(out, wanted) !== 0) break;
      }
      expect(out).toEqual(wanted);
    });

    test.each([
      [1, 3],
      [-1, 2],
      [VERITY_BLOCK_SIZE * 3, 1],
      [Number.NaN, 1],
    ])("reads nothing outside of its data (at %i, %i blocks)", (at, count) => {
      const data = bytesOf(3 * VERITY_BLOCK_SIZE, 1);
      const out = new Uint8Array(4 * HASH_BYTES);
      expect(() => lanes!.hashBlocks(data, at, count, out, 0)).toThrow(RangeError);
      expect(out).toEqual(new Uint8Array(out.length));
    });

    test("is not used when it gives other hashes than node:crypto", () => {
      expect(Sha256Lanes.load({ ...plain, hashBlocks: () => undefined })).toBeUndefined();
    });
  },
);

test("a thread that hashes in lanes gives the same digests, and finds the same wrong blocks", () => {
  const size = 700 * VERITY_BLOCK_SIZE + 100;
  const data = bytesOf(size, 7);
  const before = new VerityHasher("sha256", { keepLeaves: true, hash: portable }).update(data);
  const digest = before.digest();
  const leaves = before.leaves();
  hashInLanes();
  expect(blockHash("sha256")).not.toBe(plain);
  // More than enough blocks for lanes to be loaded on the way.
  for (let i = 0; i < 3; i++) {
    const hasher = new VerityHasher("sha256", { keepLeaves: true }).update(data);
    expect(hasher.digest()).toBe(digest);
    expect(hasher.leaves()).toEqual(leaves);
    expect(verityDigestOf(data)).toBe(digest);
    const shared = new Uint8Array(new SharedArrayBuffer(size));
    shared.set(data);
    expect(verityDigestOf(shared)).toBe(digest);
  }
  for (let block = 0; block < 40; block++) {
    const part = data.slice(0, 37 * VERITY_BLOCK_SIZE + 9);
    const at = block * VERITY_BLOCK_SIZE + (block % 5 === 0 ? 0 : 4);
    if (at < part.length) part[at]! ^= 1;
    const short = part.subarray(0, 37 * VERITY_BLOCK_SIZE);
    expect(verifyBlocks(short, 0, leaves, "sha256")).toBe(block < 37 ? block : -1);
  }
  expect(verifyBlocks(data.subarray(0, VERITY_BLOCK_SIZE), 3, leaves, "sha256")).toBe(3);
  expect(verifyBlocks(data, 0, leaves, "sha256")).toBe(-1);
  expect(verifyBlocks(data, 0, leaves.subarray(0, 5 * HASH_BYTES), "sha256")).toBe(5);
});
