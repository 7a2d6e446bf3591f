/** Images with damage that nobody thought of: whatever the bytes, an answer or a FormatError. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { checkImage } from "../../../src/erofs/check.ts";
import { Dirent, FT_DIR } from "../../../src/erofs/format.ts";
import { Image } from "../../../src/erofs/image.ts";
import { readTree } from "../../../src/erofs/tree.ts";
import { ImageView } from "../../../src/erofs/view.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { FormatError } from "../../../src/errors.ts";
import { S_IFDIR, S_IFMT } from "../../../src/tree/inode.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { oracle } from "../../support/oracle.ts";
import { direntAt, imageOf } from "../../support/small-image.ts";
import { dumpOfTree } from "../../support/dump.ts";
import { scratchFolder } from "../../support/scratch.ts";

const slow = process.env["SLOW"] === "1";
if (slow) vi.setConfig({ testTimeout: 1_800_000 });
const digest = "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111";

const small = imageOf(
  "/ 0 40755 3 0 0 0 100.0 - - - user.shared=same",
  "/dir 0 40755 2 0 0 0 100.0 - - - user.shared=same user.own=value",
  "/dir/file 5 100644 2 0 0 0 100.0 - hello -",
  `/ext 100 100644 1 0 0 0 100.0 25/${digest.slice(2)} - ${digest}`,
  "/link 6 120777 1 0 0 0 100.0 target - -",
  "/name 5 @100644 2 0 0 0 100.0 /dir/file - -",
  "/null 0 20666 1 0 0 259 100.0 - - -",
);

const dumpOf = (bytes: Uint8Array) => dumpOfTree(readTree(Image.open(bytes)));

/** Uses every part of the reader; the result does not matter. */
function readEverything(bytes: Uint8Array): void {
  const view = new ImageView(Image.open(bytes));
  const { image } = view;
  const seen = new Set<number>();
  const queue = [image.rootNid];
  for (const nid of queue) {
    if (seen.has(nid)) continue;
    seen.add(nid);
    const inode = view.inode(nid);
    image.xattrs(inode);
    image.content(inode);
    if ((inode.mode & S_IFMT) !== S_IFDIR) continue;
    for (const entry of view.entries(inode)) {
      queue.push(entry.nid);
      view.lookup(inode, entry.name);
    }
  }
  dumpOf(bytes);
}

/** Everything but a FormatError is a defect. */
function survives(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** Every bit with SLOW=1; else one of each byte, and none of the stubs but the first few. */
function* bits(): Generator<number> {
  for (let byte = 0; byte < small.length; byte++) {
    if (slow) for (let bit = 0; bit < 8; bit++) yield byte * 8 + bit;
    else if (small[byte] !== 0 || byte % 5 === 0) yield byte * 8 + ((byte * 5) & 7);
  }
}

describe("one flipped bit", () => {
  test("is refused, or gives an image that reads whole and could have been written so", () => {
    let refused = 0;
    const unlike: string[] = [];
    for (const bit of bits()) {
      const bytes = flip(small, bit);
      if (checkImage(bytes) !== undefined) {
        refused++;
        survives(() => readEverything(bytes));
        continue;
      }
      readEverything(bytes);
      // What passes differs in a value (an owner, a time, a name), never in how it is understood.
      const again = dumpOf(writeImage(readTree(Image.open(bytes))));
      if (again !== dumpOf(bytes)) unlike.push(`bit ${bit}`);
    }
    expect(refused).toBeGreaterThan(1000);
    expect(unlike).toEqual([]);
  });

  test("fsck.erofs accepts what passes", (context) => {
    const fsck = oracle("fsck.erofs");
    if (fsck === undefined) return context.skip("fsck.erofs is not installed");
    const directory = scratchFolder();
    let tried = 0;
    for (const bit of bits()) {
      const bytes = flip(small, bit);
      if (bit % 3 !== 0 || checkImage(bytes) !== undefined) continue;
      const file = join(directory, "image");
      writeFileSync(file, bytes);
      expect(() => execFileSync(fsck, [file], { stdio: "pipe" }), `bit ${bit}`).not.toThrow();
      if (++tried === (slow ? 2000 : 60)) break;
    }
    expect(tried).toBeGreaterThan(20);
  });
});

test("an image cut at any length is refused, and reading it ends in a FormatError or a value", () => {
  for (let length = 0; length < small.length; length++) {
    const bytes = small.subarray(0, length);
    expect(checkImage(bytes), String(length)).not.toBe(undefined);
    if (slow || length % 64 === 0) survives(() => readEverything(bytes));
  }
});

describe("any bytes", () => {
  const numRuns = slow ? 20_000 : 300;

  test("behind valid headers", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8192 }), (noise) => {
        const bytes = new Uint8Array(1152 + noise.length);
        bytes.set(small.subarray(0, 1152));
        bytes.set(noise, 1152);
        survives(() => readEverything(bytes));
        checkImage(bytes);
      }),
      { numRuns },
    );
  });

  test("at a few places of a valid image", () => {
    const image = goldenImage("xattr-order.v1").bytes;
    const place = fc.tuple(fc.nat(image.length - 8), fc.uint8Array({ minLength: 1, maxLength: 8 }));
    const used = fc.tuple(fc.integer({ min: 1024, max: 4096 }), fc.uint8Array({ maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(fc.oneof(place, used), { minLength: 1, maxLength: 4 }), (places) => {
        const bytes = Uint8Array.from(image);
        for (const [at, value] of places) bytes.set(value, at);
        survives(() => readEverything(bytes));
        checkImage(bytes);
      }),
      { numRuns },
    );
  });

  test("with nothing valid at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), (bytes) => {
        survives(() => readEverything(bytes));
        expect(checkImage(bytes)).not.toBe(undefined);
      }),
      { numRuns },
    );
  });
});

test("crafted directories that share one block cost no more than the limit on names", () => {
  // Every inode says it is a directory with the root's blocks: names multiply at every level.
  const bytes = Uint8Array.from(small);
  const image = Image.open(bytes);
  const view = new DataView(bytes.buffer);
  const { u, size } = image.root;
  for (const { nid, name } of image.entries(image.root)) {
    if (!/^[0-9a-f]{2}$/.test(name)) continue;
    const { offset } = image.inode(nid);
    view.setUint16(offset, 0, true);
    view.setUint16(offset + 4, S_IFDIR | 0o755, true);
    view.setUint32(offset + 8, Number(size), true);
    view.setUint32(offset + 16, u, true);
    bytes[direntAt(small, "/", name).offset + Dirent.offsets.fileType] = FT_DIR;
  }
  expect(checkImage(bytes)).toMatchObject({ rule: "layout.overlap" });
  survives(() => readEverything(bytes));
});
