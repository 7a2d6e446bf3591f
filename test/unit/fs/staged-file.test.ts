/** Staged files hold what was written to them, with holes where that was zeros. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dataRuns } from "../../../src/fs/data-runs.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import { StagedFile, writeStagedFile } from "../../../src/fs/staged-file.ts";
import { scratchFolder } from "../../support/scratch.ts";

const BLOCK = 4096;

/** Pieces of zeros and of other bytes, of sizes around the blocks'. */
const pieces = fc.array(
  fc.record({
    size: fc.oneof(fc.nat(3 * BLOCK), fc.constantFrom(BLOCK, 2 * BLOCK, BLOCK - 1, BLOCK + 1)),
    byte: fc.constantFrom(0, 0, 7),
  }),
  { maxLength: 8 },
);

test("any chunks make the file of their bytes", () => {
  const folder = HeldDirectory.open(scratchFolder());
  let number = 0;
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 20_000 }), (parts, chunkSize) => {
      const bytes = Buffer.concat(parts.map(({ size, byte }) => Buffer.alloc(size, byte)));
      const name = String(number++);
      const file = new StagedFile(folder, name);
      for (let at = 0; at < bytes.length; at += chunkSize) {
        file.write(bytes.subarray(at, at + chunkSize));
      }
      file.close(false);
      expect(file.size).toBe(bytes.length);
      expect(readFileSync(join(folder.path, name)).equals(bytes)).toBe(true);
    }),
  );
});

test("blocks of zeros take no room, at the end neither", () => {
  const folder = HeldDirectory.open(scratchFolder());
  const size = 64 * 1024 * 1024;
  const taken: number[] = [];
  const file = new StagedFile(folder, "sparse");
  const zeros = Buffer.alloc(1024 * 1024);
  const data = Buffer.from(zeros).fill("x", 8192, 12_288);
  for (let at = 0; at < size; at += zeros.length) {
    file.write(at === 5 * zeros.length ? data : zeros, (bytes) => taken.push(bytes));
  }
  file.close(true);
  const { size: is, blocks } = statSync(join(folder.path, "sparse"));
  expect(is).toBe(size);
  expect(blocks * 512).toBeLessThanOrEqual(2 * BLOCK);
  expect(taken).toEqual([BLOCK]);
  writeStagedFile(folder, "second", zeros, false);
  expect(statSync(join(folder.path, "second"))).toMatchObject({ size: zeros.length, blocks: 0 });
});

test("runs of data are found by the blocks of the file, wherever the bytes begin", () => {
  const bytes = Buffer.alloc(3 * BLOCK);
  bytes[BLOCK] = 1; // the last of the file's second block
  expect(dataRuns(bytes, BLOCK - 1)).toEqual([[1, BLOCK + 1]]);
  expect(dataRuns(bytes, 0)).toEqual([[BLOCK, 2 * BLOCK]]);
  expect(dataRuns(bytes.subarray(0, BLOCK), 0)).toEqual([]);
  expect(dataRuns(Buffer.alloc(0), 5)).toEqual([]);
});
