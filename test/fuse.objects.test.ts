/** Reading objects with assurance `block`: the right bytes or an error, whatever happens to the store. */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Handles } from "../src/fuse/handles.ts";
import { type ObjectFile, type ObjectPlace, ObjectReader } from "../src/fuse/objects.ts";
import { SharedLeaves } from "../src/fuse/shared-leaves.ts";
import { openPlaces } from "../src/fuse/store-place.ts";
import { Store } from "../src/store/store.ts";
import { type VerityDigest, verityDigestOf } from "../src/verity/index.ts";

let scratch: string;
let store: Store;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "sealfs-objects-"));
  store = Store.create(join(scratch, "store"));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** Bytes that differ from block to block. */
function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 7 + (at >> 12) * 13) & 0xff;
  return bytes;
}

let lastNid = 1000;

function put(bytes: Uint8Array, into = store): ObjectFile {
  const digest = verityDigestOf(bytes, "sha256");
  writeFileSync(into.objects.path(digest), bytes);
  return { nid: (lastNid += 1), digest, size: bytes.length };
}

const newReader = (stores = [store], leaves = SharedLeaves.create(64, 1 << 20)) =>
  new ObjectReader(openPlaces(stores.map(({ path }) => path)), leaves);

/** All of a file, in whole blocks, `chunk` bytes at a time. */
function readAll(reader: ObjectReader, file: ObjectFile, chunk = 128 * 1024): Buffer {
  const fd = reader.open(file);
  try {
    const out = Buffer.alloc(file.size);
    for (let at = 0; at < file.size; at += chunk) {
      reader.read(file, fd, at, out, at, Math.min(chunk, file.size - at));
    }
    return out;
  } finally {
    closeSync(fd);
  }
}

function poke(path: string, offset: number): void {
  const fd = openSync(path, "r+");
  const byte = readFileSync(path)[offset]!;
  writeSync(fd, Uint8Array.of(byte ^ 0x40), 0, 1, offset);
  closeSync(fd);
}

const sizes = [65, 4095, 4096, 4097, 8192, 131072, 131073, 1048576, 1048577, 3_000_000];

test.each(sizes)("reads an object of %i bytes", (size) => {
  const bytes = content(size);
  const file = put(bytes);
  const reader = newReader();
  expect(readAll(reader, file).equals(bytes)).toBe(true);
  expect(readAll(reader, file, 4096 * 3).equals(bytes)).toBe(true);
});

describe("an object that is not as signed is refused when it is opened", () => {
  const size = 20_000;
  const cases: [string, (path: string) => void, RegExp][] = [
    ["changed in its first byte", (path) => poke(path, 0), /content has/],
    ["changed in its last byte", (path) => poke(path, size - 1), /content has/],
    [
      "longer",
      (path) => writeFileSync(path, "x", { flag: "a" }),
      /expected 20000 bytes, got 20001/,
    ],
    ["shorter", (path) => truncateSync(path, size - 1), /expected 20000 bytes, got 19999/],
    ["missing", (path) => rmSync(path), /not in/],
    [
      "a symlink",
      (path) => {
        renameSync(path, `${path}.real`);
        symlinkSync(`${path}.real`, path);
      },
      /symbolic link/,
    ],
    [
      "a fifo",
      (path) => {
        rmSync(path);
        execFileSync("mkfifo", [path]);
      },
      /fifo/,
    ],
  ];
  test.each(cases)("%s", (_, damage, message) => {
    const file = put(content(size));
    damage(store.objects.path(file.digest));
    expect(() => newReader().open(file)).toThrow(message);
  });
});

test("an object of one block is checked when it is read", () => {
  const file = put(content(4096));
  const reader = newReader();
  const fd = reader.open(file);
  poke(store.objects.path(file.digest), 4095);
  const out = Buffer.alloc(4096);
  expect(() => reader.read(file, fd, 0, out, 0, 4096)).toThrow(/content has/);
  closeSync(fd);
});

test("a change after opening is refused in its block; the others can be read", () => {
  const bytes = content(40_000);
  const file = put(bytes);
  const reader = newReader();
  const fd = reader.open(file);
  poke(store.objects.path(file.digest), 4096 * 3 + 5);
  const out = Buffer.alloc(4096);
  for (let block = 0; block < 9; block++) {
    const read = () => reader.read(file, fd, block * 4096, out, 0, 4096);
    if (block === 3) {
      expect(read).toThrow(/block 3 is not as signed/);
    } else {
      read();
      expect(out.equals(bytes.subarray(block * 4096, block * 4096 + 4096))).toBe(true);
    }
  }
  closeSync(fd);
});

test("any change of any byte at any time gives an error or the right bytes", () => {
  const bytes = content(30_000);
  fc.assert(
    fc.property(
      fc.nat(29_999),
      fc.constantFrom("before", "opened"),
      fc.constantFrom(4096, 8192, 131072),
      (offset, when, chunk) => {
        const file = put(bytes);
        const reader = newReader();
        const path = store.objects.path(file.digest);
        const change = () => poke(path, offset);
        try {
          if (when === "before") change();
          const fd = reader.open(file);
          if (when === "opened") change();
          const out = Buffer.alloc(chunk);
          for (let at = 0; at < file.size; at += chunk) {
            const length = Math.min(chunk, file.size - at);
            reader.read(file, fd, at, out, 0, length);
            expect(out.subarray(0, length).equals(bytes.subarray(at, at + length))).toBe(true);
          }
          expect.unreachable();
        } catch (error) {
          expect((error as { code?: string }).code).toBe("DIGEST_MISMATCH");
        }
      },
    ),
    { numRuns: process.env["SLOW"] === "1" ? 1000 : 60 },
  );
});

describe("several stores", () => {
  test("the next one is asked when one lacks the object or has a bad one", () => {
    const second = Store.create(join(scratch, "second"));
    const bytes = content(9000);
    const file = put(bytes, second);
    expect(readAll(newReader([store, second]), file).equals(bytes)).toBe(true);
    put(bytes); // the first has it too now, but changed
    poke(store.objects.path(file.digest), 1);
    expect(readAll(newReader([store, second]), file).equals(bytes)).toBe(true);
    poke(second.objects.path(file.digest), 1);
    expect(() => newReader([store, second]).open(file)).toThrow(/\/store: .*; .*\/second: /);
  });

  test("a good copy elsewhere serves when the open one turns bad, and so does a repaired one", () => {
    const bytes = content(9000);
    const file = put(bytes);
    const reader = newReader();
    const fd = reader.open(file);
    const path = store.objects.path(file.digest);
    poke(path, 5);
    const out = Buffer.alloc(4096);
    expect(() => reader.read(file, fd, 0, out, 0, 4096)).toThrow();
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
    reader.read(file, fd, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
    closeSync(fd);
  });
});

describe("leaves", () => {
  const size = 2_000_000;

  test("of a large object are kept in the store and used by the next mount", () => {
    const bytes = content(size);
    const file = put(bytes);
    closeSync(newReader().open(file));
    expect(store.readLeaves(file.digest)?.length).toBe(Math.ceil(size / 4096) * 32);
    // Nobody hashes it again: a change outside of the block that is read goes unnoticed.
    poke(store.objects.path(file.digest), size - 1);
    const reader = newReader();
    const fd = reader.open(file);
    const out = Buffer.alloc(4096);
    reader.read(file, fd, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
    const last = Math.floor(size / 4096) * 4096;
    expect(() => reader.read(file, fd, last, out, 0, size - last)).toThrow(/not as signed/);
    closeSync(fd);
  });

  test("of a small object are not kept", () => {
    const file = put(content(1_000_000));
    closeSync(newReader().open(file));
    expect(store.readLeaves(file.digest)).toBeUndefined();
  });

  test.each([
    ["changed", (leaves: Buffer) => ((leaves[100]! ^= 1), leaves)],
    ["short", (leaves: Buffer) => leaves.subarray(0, 64)],
    ["empty", () => Buffer.alloc(0)],
    ["of another object", () => Buffer.alloc(Math.ceil(size / 4096) * 32, 7)],
  ])("in the store that are %s are not believed", (_, spoil) => {
    const bytes = content(size);
    const file = put(bytes);
    closeSync(newReader().open(file));
    store.writeLeaves(file.digest, spoil(Buffer.from(store.readLeaves(file.digest)!)));
    expect(readAll(newReader(), file).equals(bytes)).toBe(true);
  });

  test("are hashed once for all threads of a mount", () => {
    const shared = SharedLeaves.create(64, 1 << 20);
    const bytes = content(50_000);
    const file = put(bytes);
    closeSync(newReader([store], shared).open(file));
    const path = store.objects.path(file.digest);
    poke(path, 49_999);
    const other = newReader([store], new SharedLeaves(shared.memory));
    const fd = other.open(file); // not hashed again
    const out = Buffer.alloc(4096);
    other.read(file, fd, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
    expect(() => other.read(file, fd, 49152, out, 0, 848)).toThrow(/block 12 is not as signed/);
    closeSync(fd);
  });

  test("a store that cannot be written to is no hindrance", () => {
    const bytes = content(size);
    const file = put(bytes);
    const place: ObjectPlace = {
      path: store.path,
      openFile: (digest) => store.objects.openFile(digest),
      readLeaves: () => undefined,
      writeLeaves: () => false,
    };
    const reader = new ObjectReader([place], SharedLeaves.create(1, 0)); // and no memory to share
    expect(readAll(reader, file).equals(bytes)).toBe(true);
  });
});

describe("shared leaves", () => {
  test("what is added is found, by every thread, until there is no room", () => {
    const leaves = SharedLeaves.create(1000, 100_000);
    const kept = new Map<number, Uint8Array>();
    for (let key = 1; key <= 3000; key++) {
      const value = new Uint8Array(32 + (key % 3) * 32).fill(key);
      if (leaves.add(key * 7, value)) kept.set(key * 7, value);
    }
    expect(kept.size).toBeGreaterThan(1000);
    expect(kept.size).toBeLessThan(3000);
    const other = new SharedLeaves(leaves.memory);
    for (let key = 1; key <= 3000 * 7; key++) expect(other.get(key)).toEqual(kept.get(key));
  });

  test("a key is written once", () => {
    const leaves = SharedLeaves.create(10, 1000);
    expect(leaves.add(5, Uint8Array.of(1))).toBe(true);
    expect(leaves.add(5, Uint8Array.of(2))).toBe(true);
    expect(leaves.get(5)).toEqual(Uint8Array.of(1));
  });
});

test("beyond the limit of descriptors files are opened for each read", () => {
  const bytes = content(5000);
  const file = put(bytes);
  const reader = newReader();
  const handles = new Handles(2);
  const held = Array.from({ length: 4 }, () => handles.hold(reader.open(file)));
  expect(held.map((handle) => handles.descriptor(handle) >= 0)).toEqual([true, true, false, false]);
  const out = Buffer.alloc(5000);
  reader.read(file, handles.descriptor(held[3]!), 0, out, 0, 5000);
  expect(out.equals(bytes)).toBe(true);
  for (const handle of held) handles.release(handle);
  const again = handles.hold(reader.open(file));
  expect(handles.descriptor(again)).toBeGreaterThanOrEqual(0);
  handles.release(again);
});

test("a sha512 object", () => {
  const bytes = content(10_000);
  const digest: VerityDigest = verityDigestOf(bytes, "sha512");
  const sha512 = Store.create(join(scratch, "sha512"), { algorithm: "sha512" });
  writeFileSync(sha512.objects.path(digest), bytes);
  const file = { nid: 9, digest, size: bytes.length };
  expect(readAll(newReader([sha512]), file).equals(bytes)).toBe(true);
});
