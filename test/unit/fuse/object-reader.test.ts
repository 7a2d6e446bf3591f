/** Reading objects with promise `block`: the right bytes or an error, whatever happens to the store. */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { OpenFiles } from "../../../src/fuse/open-files.ts";
import {
  type ObjectFile,
  type ObjectPlace,
  ObjectReader,
} from "../../../src/fuse/object-reader.ts";
import { SharedLeaves } from "../../../src/fuse/shared-leaves.ts";
import { openPlaces } from "../../../src/fuse/store-place.ts";
import { Store } from "../../../src/store/store.ts";
import { type VerityDigest, verityDigestOf } from "../../../src/verity/index.ts";
import { scratchFolder } from "../../support/scratch.ts";

let scratch: string;
let store: Store;

beforeEach(() => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
});

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
  const out = Buffer.alloc(file.size);
  for (let at = 0; at < file.size; at += chunk) {
    reader.read(file, at, out, at, Math.min(chunk, file.size - at));
  }
  return out;
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

describe("an object that is not as signed is refused before anything of it is read", () => {
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
    expect(() => newReader().prepare(file)).toThrow(message);
  });
});

test("an object of one block is checked when it is read", () => {
  const file = put(content(4096));
  const reader = newReader();
  reader.prepare(file);
  poke(store.objects.path(file.digest), 4095);
  const out = Buffer.alloc(4096);
  expect(() => reader.read(file, 0, out, 0, 4096)).toThrow(/content has/);
});

test("a change after opening is refused in its block; the others can be read", () => {
  const bytes = content(40_000);
  const file = put(bytes);
  const reader = newReader();
  reader.prepare(file);
  poke(store.objects.path(file.digest), 4096 * 3 + 5);
  const out = Buffer.alloc(4096);
  for (let block = 0; block < 9; block++) {
    const read = () => reader.read(file, block * 4096, out, 0, 4096);
    if (block === 3) {
      expect(read).toThrow(/block 3 is not as signed/);
    } else {
      read();
      expect(out.equals(bytes.subarray(block * 4096, block * 4096 + 4096))).toBe(true);
    }
  }
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
          reader.prepare(file);
          if (when === "opened") change();
          const out = Buffer.alloc(chunk);
          for (let at = 0; at < file.size; at += chunk) {
            const length = Math.min(chunk, file.size - at);
            reader.read(file, at, out, 0, length);
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
    expect(() => newReader([store, second]).prepare(file)).toThrow(/\/store: .*; .*\/second: /);
  });

  test("a good copy elsewhere serves when the open one turns bad, and so does a repaired one", () => {
    const bytes = content(200_000); // large enough to be kept open
    const file = put(bytes);
    const reader = newReader();
    reader.prepare(file);
    const path = store.objects.path(file.digest);
    poke(path, 5);
    const out = Buffer.alloc(4096);
    expect(() => reader.read(file, 0, out, 0, 4096)).toThrow();
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
    reader.read(file, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
  });
});

describe("leaves", () => {
  const size = 2_000_000;

  test("of a large object are kept in the store and used by the next mount", () => {
    const bytes = content(size);
    const file = put(bytes);
    newReader().prepare(file);
    expect(store.readLeaves(file.digest)?.length).toBe(Math.ceil(size / 4096) * 32);
    // Nobody hashes it again: a change outside of the block that is read goes unnoticed.
    poke(store.objects.path(file.digest), size - 1);
    const reader = newReader();
    reader.prepare(file);
    const out = Buffer.alloc(4096);
    reader.read(file, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
    const last = Math.floor(size / 4096) * 4096;
    expect(() => reader.read(file, last, out, 0, size - last)).toThrow(/not as signed/);
  });

  test("of a small object are not kept", () => {
    const file = put(content(1_000_000));
    newReader().prepare(file);
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
    newReader().prepare(file);
    store.writeLeaves(file.digest, spoil(Buffer.from(store.readLeaves(file.digest)!)));
    expect(readAll(newReader(), file).equals(bytes)).toBe(true);
  });

  test("are hashed once for all threads of a mount", () => {
    const shared = SharedLeaves.create(64, 1 << 20);
    const bytes = content(50_000);
    const file = put(bytes);
    newReader([store], shared).prepare(file);
    const path = store.objects.path(file.digest);
    poke(path, 49_999);
    const other = newReader([store], new SharedLeaves(shared.memory));
    other.prepare(file); // not hashed again
    const out = Buffer.alloc(4096);
    other.read(file, 0, out, 0, 4096);
    expect(out.equals(bytes.subarray(0, 4096))).toBe(true);
    expect(() => other.read(file, 49152, out, 0, 848)).toThrow(/block 12 is not as signed/);
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

test("of many open files the one that was not read for the longest is closed, and no other", () => {
  const open = new OpenFiles(3);
  const fds = Array.from({ length: 5 }, () => openSync(store.path, "r"));
  const isOpen = (fd: number) => {
    try {
      return fstatSync(fd).isDirectory();
    } catch {
      return false;
    }
  };
  for (const i of [0, 1, 2]) open.add(i, fds[i]!);
  expect(open.get(0)).toBe(fds[0]);
  open.add(3, fds[3]!);
  expect(fds.map(isOpen)).toEqual([true, false, true, true, true]);
  expect(open.get(1)).toBeUndefined();
  open.add(0, fds[4]!); // a new descriptor of the same file takes the place of the old one
  expect(fds.map(isOpen)).toEqual([false, false, true, true, true]);
  expect(open.get(0)).toBe(fds[4]);
  for (const i of [0, 1, 2, 3]) open.drop(i);
  expect(fds.map(isOpen)).toEqual(fds.map(() => false));
});

test("however many objects are read, few descriptors are held", () => {
  const reader = newReader();
  const held = () => readdirSync("/proc/self/fd").length;
  const before = held();
  const out = Buffer.alloc(4096);
  for (let i = 0; i < 100; i++) {
    const file = put(Buffer.alloc(140_000, i));
    reader.read(file, 4096, out, 0, 4096);
    expect(out[0]).toBe(i);
  }
  expect(held() - before).toBeGreaterThan(0);
  expect(held() - before).toBeLessThanOrEqual(40);
});

test("a sha512 object", () => {
  const bytes = content(10_000);
  const digest: VerityDigest = verityDigestOf(bytes, "sha512");
  const sha512 = Store.create(join(scratch, "sha512"), { algorithm: "sha512" });
  writeFileSync(sha512.objects.path(digest), bytes);
  const file = { nid: 9, digest, size: bytes.length };
  expect(readAll(newReader([sha512]), file).equals(bytes)).toBe(true);
});
