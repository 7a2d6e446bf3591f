/** Objects of which a part is there: only right blocks, in any order, each once. */
import { readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  PartialObject,
  openPartial,
  readPartialLeaves,
} from "../../../src/store/partial-objects.ts";
import { StagingDirectory } from "../../../src/store/staging.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

const BLOCK = 4096;
let store: Store;
let staging: StagingDirectory;

beforeEach(() => {
  store = Store.create(join(scratchFolder(), "store"));
  staging = StagingDirectory.create(store);
});

afterEach(() => staging.remove());

function made(size: number, seed = 1) {
  const content = Buffer.alloc(size);
  for (let at = 0; at < size; at++) content[at] = (at * 31 + (at >> 12) * 17 + seed) & 0xff;
  return { content, size, ...leavesOf(content) };
}

describe("a part of an object", () => {
  test("begins with nothing, and only with its own leaf hashes", () => {
    const object = made(5 * BLOCK + 100);
    expect(() => PartialObject.begin(staging, object, made(object.size, 2).leaves)).toThrow(
      expect.objectContaining({ code: "DIGEST_MISMATCH" }),
    );
    expect(() => PartialObject.begin(staging, object, object.leaves.subarray(32))).toThrow(
      expect.objectContaining({ code: "DIGEST_MISMATCH" }),
    );
    const part = PartialObject.begin(staging, object, object.leaves);
    expect([part.complete, part.present]).toEqual([false, 0]);
    expect(part.missing({ start: 0, end: object.size })).toEqual([{ start: 0, end: object.size }]);
    expect(readPartialLeaves(staging.files, object.digest)).toEqual(object.leaves);
    expect(openPartial(staging.files, object.digest).size).toBe(object.size);
    expect(statSync(join(store.path, part.name)).mode & 0o777).toBe(0o444);
    part.close();
  });

  test("takes right blocks and refuses the first wrong one, keeping those before it", () => {
    const object = made(6 * BLOCK);
    const part = PartialObject.begin(staging, object, object.leaves);
    const bytes = Buffer.from(object.content.subarray(BLOCK, 5 * BLOCK));
    bytes[2 * BLOCK + 7]! ^= 1;
    expect(() => part.write(BLOCK, bytes)).toThrow(/block 3 is not as signed/);
    expect(part.missing({ start: 0, end: object.size })).toEqual([
      { start: 0, end: BLOCK },
      { start: 3 * BLOCK, end: 6 * BLOCK },
    ]);
    expect(readFileSync(join(store.path, part.name)).subarray(3 * BLOCK, 5 * BLOCK).every((byte) => byte === 0)).toBe(true); // prettier-ignore
    part.close();
  });

  test("keeps no descriptor, nor rights to write, between its blocks", () => {
    const object = made(6 * BLOCK);
    const part = PartialObject.begin(staging, object, object.leaves);
    const held = () =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === join(store.path, part.name);
        } catch {
          return false; // that of the listing itself
        }
      });
    expect(held()).toEqual([]);
    part.write(BLOCK, object.content.subarray(BLOCK, 3 * BLOCK));
    expect(held()).toEqual([]);
    expect(statSync(join(store.path, part.name)).mode & 0o777).toBe(0o444);
    part.close();
    expect(() => part.write(0, object.content.subarray(0, BLOCK))).toThrow(/closed/);
  });

  test("whatever the order of the blocks, what is told missing and what is there make up the object", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 * BLOCK }),
        fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 6 })), { maxLength: 30 }),
        fc.nat(255),
        (size, writes, seed) => {
          const object = made(size, seed);
          staging.files.removeTree(object.digest);
          staging.files.removeTree(`${object.digest}.leaves`);
          const part = PartialObject.begin(staging, object, object.leaves);
          for (const [block, count] of writes) {
            const start = block * BLOCK;
            const bytes = object.content.subarray(start, start + count * BLOCK);
            if (bytes.length > 0) part.write(start, bytes);
          }
          const there = readFileSync(join(store.path, part.name));
          const missing = part.missing({ start: 0, end: size });
          let absent = 0;
          for (const { start, end } of missing) {
            expect(start % BLOCK).toBe(0);
            absent += end - start;
            object.content.copy(there, start, start, end);
          }
          expect(there.equals(object.content)).toBe(true);
          expect(part.complete).toBe(missing.length === 0);
          if (missing.at(-1)?.end !== size) expect(part.present).toBeLessThanOrEqual(size);
          expect(absent === 0).toBe(part.complete);
          part.close();
        },
      ),
      { numRuns: 200 },
    );
  });

  test("when it is whole the store takes it over", () => {
    const object = made(3 * BLOCK + 1);
    const part = PartialObject.begin(staging, object, object.leaves);
    part.write(BLOCK, object.content.subarray(BLOCK));
    part.write(0, object.content.subarray(0, BLOCK));
    expect(part.complete).toBe(true);
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.adopt(part.name, object.digest, object.size);
    expect(transaction.publish().added).toBe(1);
    transaction.close();
    part.remove();
    part.close();
    store.objects.verify(object.digest);
  });
});
