/** Objects read from stores that nobody trusts. */
import { appendFileSync, chmodSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { verifyImage } from "../../../src/erofs/check.ts";
import { objectsOf } from "../../../src/erofs/object-list.ts";
import { IntegrityError, NotFoundError } from "../../../src/errors.ts";
import { checkObjects } from "../../../src/inspect/check-objects.ts";
import { missingObjects } from "../../../src/store/missing-objects.ts";
import { readObject } from "../../../src/store/read-object.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { imageOf } from "../../support/small-image.ts";
import { scratchFolder } from "../../support/scratch.ts";

// More than one chunk, and no multiple of a block.
const content = Buffer.alloc(256 * 4096 + 5000, "what is in the object ");
const digest = verityDigestOf(content);
const small = Buffer.from("a small object, of less than a block, but of more than 64 bytes in all");
const smallDigest = verityDigestOf(small);
const image = imageOf(
  "/ 0 40755 2 0 0 0 1.0 - - -",
  `/large ${content.length} 100644 1 0 0 0 1.0 ${objectPath(digest)} - ${digest}`,
  `/small ${small.length} 100644 1 0 0 0 1.0 ${objectPath(smallDigest)} - ${smallDigest}`,
);

let root: string;
let first: Store;
let second: Store;
let stores: Stores;

function fill(store: Store): Store {
  const transaction = Transaction.begin(store, { durability: "none" });
  transaction.put(digest, content);
  transaction.put(smallDigest, small);
  transaction.publish();
  transaction.close();
  chmodSync(store.objects.path(digest), 0o644);
  return store;
}

beforeEach(() => {
  root = scratchFolder();
  first = fill(Store.create(join(root, "first")));
  second = fill(Store.create(join(root, "second")));
  stores = new Stores([first, second]);
});

/** Reads to the end; a chunk is only good until the next. */
const read = (from = stores, size = content.length) =>
  Buffer.concat(Array.from(readObject(from, digest, size), (chunk) => Buffer.from(chunk)));

describe("reading an object", () => {
  test("gives its bytes", () => {
    expect(read().equals(content)).toBe(true);
  });

  test.each([
    ["a changed byte", (path: string) => writeFileSync(path, content.fill("W", 0, 1))],
    ["a byte less", (path: string) => truncateSync(path, content.length - 1)],
    ["a byte more", (path: string) => appendFileSync(path, "x")],
    ["nothing", (path: string) => truncateSync(path, 0)],
  ])("%s in one store: the next store's is read; alone, it is refused", (_, damage) => {
    const original = Buffer.from(content);
    damage(first.objects.path(digest));
    original.copy(content);
    expect(read().equals(content)).toBe(true);
    expect(() => read(new Stores([first]))).toThrow(IntegrityError);
  });

  test("a file that changes while it is read: only blocks that are right come out", () => {
    const chunks = readObject(new Stores([first]), digest, content.length);
    const start = Buffer.from(chunks.next().value!);
    expect(start.equals(content.subarray(0, start.length))).toBe(true);
    writeFileSync(first.objects.path(digest), Buffer.alloc(content.length));
    expect(() => chunks.next()).toThrow(/changed while it was read/);
  });

  test("an object of another size than the image says, or of no store, is not read", () => {
    expect(() => read(stores, content.length - 1)).toThrow(IntegrityError);
    rmSync(first.objects.path(digest));
    rmSync(second.objects.path(digest));
    expect(() => read()).toThrow(NotFoundError);
  });
});

describe("the objects of an image", () => {
  const problems = (from = stores) =>
    [...checkObjects(verifyImage(image), from)].map(({ problem, path }) => [problem, path]);

  test("are all right", () => {
    const progress: number[] = [];
    expect([...checkObjects(verifyImage(image), stores, (done) => progress.push(done))]).toEqual(
      [],
    );
    expect(progress.at(-1)).toBe(content.length + small.length);
  });

  test("a wrong copy is named where it lies, a missing one where it should be", () => {
    truncateSync(first.objects.path(digest), 10);
    rmSync(first.objects.path(smallDigest));
    expect(problems()).toEqual([["wrong", first.objects.path(digest)]]);
    expect(problems(new Stores([first]))).toEqual(
      [
        ["wrong", first.objects.path(digest), digest],
        ["missing", `objects/${objectPath(smallDigest)}`, smallDigest],
      ]
        .sort((a, b) => (a[2]! < b[2]! ? -1 : 1))
        .map(([problem, path]) => [problem, path]),
    );
  });

  test("those that no store has are listed", () => {
    const missing = () => [...missingObjects(Image.open(image), stores)];
    rmSync(first.objects.path(smallDigest));
    expect(missing()).toEqual([]);
    rmSync(second.objects.path(smallDigest));
    expect(missing()).toEqual([[smallDigest, small.length]]);
  });

  test("of an image that cannot be verified are not listed", () => {
    expect(() => objectsOf(Image.open(goldenImage("ext-no-digest.v1").bytes))).toThrow(/no digest/);
    expect([...objectsOf(Image.open(image)).keys()]).toEqual([digest, smallDigest].sort());
  });
});
