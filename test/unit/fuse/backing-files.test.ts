/** The table of backing files: what is verified when, shared by threads, and what a connection sees of it. */
import {
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SystemError } from "../../../src/errors.ts";
import { BackingFiles } from "../../../src/fuse/backing-files.ts";
import { type BackingMemory, BackingTable } from "../../../src/fuse/backing-table.ts";
import {
  type ObjectFile,
  type ObjectPlace,
  ObjectUnavailable,
} from "../../../src/fuse/object-reader.ts";
import { hasLibc } from "../../../src/sys/koffi.ts";
import { takeLease } from "../../../src/sys/file-lease.ts";
import { Store } from "../../../src/store/store.ts";
import { storePlace } from "../../../src/fuse/store-place.ts";
import { verityDigestOf } from "../../../src/verity/index.ts";
import { scratchFolder } from "../../support/scratch.ts";

const noLeases = hasLibc() ? undefined : "koffi is missing";
// A process that takes leases has to listen: the signal would end it.
const deaf = () => undefined;
beforeAll(() => void process.on("SIGIO", deaf));
afterAll(() => void process.off("SIGIO", deaf));

let scratch: string;
let store: Store;
let opens: string[];
let ids: Map<number, string>;
let fallbacks: string[];
beforeEach((context) => {
  context.skip(noLeases !== undefined, noLeases);
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
  opens = [];
  ids = new Map();
  fallbacks = [];
});

const content = (name: string) => Buffer.alloc(20_000, `content of ${name}, `);
function add(nid: number, bytes = content(String(nid))): ObjectFile {
  const digest = verityDigestOf(bytes, "sha256");
  writeFileSync(store.objects.path(digest), bytes);
  return { nid, digest, size: bytes.length };
}
const pathOf = ({ digest }: ObjectFile) => store.objects.path(digest);

/** One thread's view, with a place that counts and a kernel that gives numbers. */
function thread(memory: BackingMemory, refuse?: string): BackingFiles {
  const place: ObjectPlace = {
    ...storePlace(store),
    openFile: (digest) => {
      opens.push(digest);
      return store.objects.openFile(digest);
    },
  };
  const calls = {
    open: (_: number, file: number) => {
      if (refuse !== undefined) throw new SystemError("NO_PASSTHROUGH", refuse);
      const id = ids.size + 1;
      ids.set(id, `open ${file}`);
      return id;
    },
    close: (_: number, id: number) => void ids.set(id, "closed"),
  };
  const onFallback = (file: ObjectFile, reason: string) =>
    void fallbacks.push(`${file.nid} ${reason}`);
  return new BackingFiles(-1, [place], memory, onFallback, calls);
}
const live = () => [...ids.values()].filter((state) => state !== "closed").length;
const descriptors = () => readdirSync("/proc/self/fd").length;

describe("an object", () => {
  test("has one backing file for all threads, and is hashed once while its lease lasts", () => {
    const memory = BackingTable.memory(10, 10);
    const [one, other] = [thread(memory), thread(memory)];
    const file = add(36);
    const id = one.open(file);
    expect(id).toBeGreaterThan(0);
    expect(other.open(file)).toBe(id);
    other.release(36);
    one.release(36);
    expect(one.open(file)).toBe(id); // also after all have closed it
    expect(opens.length).toBe(1);
    expect(live()).toBe(1);
  });

  test("that was changed is refused at the next open, whether others have it open or not", () => {
    for (const isOpen of [true, false]) {
      const files = thread(BackingTable.memory(10, 10));
      const file = add(40);
      files.open(file);
      if (!isOpen) files.release(40);
      spawnInto(pathOf(file), files);
      expect(() => files.open(file)).toThrow(ObjectUnavailable);
      writeFileSync(pathOf(file), content("40"));
    }
  });

  test("that was changed and repaired is served again; by the same backing file while it is open", () => {
    const files = thread(BackingTable.memory(10, 10));
    const file = add(41);
    const id = files.open(file);
    spawnInto(pathOf(file), files);
    expect(() => files.open(file)).toThrow(/the open file: content has/);
    const fd = openSync(pathOf(file), "r+");
    writeSync(fd, content("41").subarray(0, 1), 0, 1, 0);
    closeSync(fd);
    expect(files.open(file)).toBe(id);
  });

  test("that was exchanged by another file goes on as the one that was verified, until that ends", () => {
    const files = thread(BackingTable.memory(10, 10));
    const file = add(42);
    const id = files.open(file);
    writeFileSync(`${pathOf(file)}.new`, content("evil"));
    renameSync(`${pathOf(file)}.new`, pathOf(file));
    expect(files.open(file)).toBe(id);
    expect(opens.length).toBe(1);
  });

  test("is hashed at every open where somebody may write to it", () => {
    const files = thread(BackingTable.memory(10, 10));
    const file = add(43);
    const writer = openSync(pathOf(file), "r+");
    const probe = openSync(pathOf(file), "r");
    expect(takeLease(probe)).toBe(false);
    try {
      expect(files.open(file)).toBeGreaterThan(0);
      writeSync(writer, Buffer.from("!"), 0, 1, 5000);
      expect(() => files.open(file)).toThrow(/content has/);
    } finally {
      closeSync(writer);
      closeSync(probe);
    }
  });

  test("of the wrong size, or that is not there, is refused and leaves no descriptor behind", () => {
    const files = thread(BackingTable.memory(10, 10));
    const file = add(44);
    const before = descriptors();
    writeFileSync(pathOf(file), "short");
    expect(() => files.open(file)).toThrow(/expected 20000 bytes, got 5/);
    rmSync(pathOf(file));
    expect(() => files.open(file)).toThrow(ObjectUnavailable);
    expect(descriptors()).toBe(before);
    expect(live()).toBe(0);
  });

  test("that cannot be a backing file is served block by block for ever, and said once", () => {
    const memory = BackingTable.memory(10, 10);
    const file = add(45);
    const [one, other] = [thread(memory, "too high a stack"), thread(memory)];
    const before = descriptors();
    expect(one.open(file)).toBe(0);
    // Another thread, where it would work: the kernel does not let an inode be both.
    expect(other.open(file)).toBe(0);
    expect(fallbacks).toEqual(["45 too high a stack"]);
    expect(descriptors()).toBe(before);
  });
});

describe("descriptors", () => {
  test("are held up to the limit; the files of others are given up first when nobody has them open", () => {
    const files = thread(BackingTable.memory(100, 4));
    const before = descriptors();
    for (let nid = 100; nid < 150; nid++) {
      files.open(add(nid));
      files.release(nid);
      expect(descriptors() - before).toBeLessThanOrEqual(4);
    }
    expect(live()).toBe(4);
  });

  test("are not held for open files beyond the limit: these are hashed again, as the same file", () => {
    const files = thread(BackingTable.memory(100, 2));
    const before = descriptors();
    const all = [200, 201, 202, 203].map((nid) => add(nid));
    const first = all.map((file) => files.open(file));
    expect(new Set(first).size).toBe(4);
    expect(descriptors() - before).toBe(2);
    expect(all.map((file) => files.open(file))).toEqual(first);
    const last = all[3]!;
    writeFileSync(`${pathOf(last)}.new`, content("203"));
    renameSync(`${pathOf(last)}.new`, pathOf(last));
    expect(() => files.open(last)).toThrow(/another file is open in its place/);
    for (const { nid } of all) {
      files.release(nid);
      files.release(nid);
    }
    expect(live()).toBeLessThanOrEqual(2);
    expect(files.open(last)).toBeGreaterThan(0); // the new one, which is as signed
  });
});

test("a table that is full takes no more: those are served block by block", () => {
  const files = thread(BackingTable.memory(1, 100));
  const results = Array.from({ length: 40 }, (_, i) => files.open(add(300 + i)) > 0);
  expect(results.filter(Boolean).length).toBe(16); // the least that a table has
  expect(results.slice(16)).not.toContain(true);
});

/** Changes the first byte as another process would, which waits for the lease's end. */
function spawnInto(path: string, files: BackingFiles): void {
  // The kernel asks for the lease by SIGIO; an open that does not wait fails until it is given up.
  const write =
    "const fs = require('node:fs');" +
    "const { O_WRONLY, O_NONBLOCK } = fs.constants;" +
    "const fd = fs.openSync(process.argv[1], O_WRONLY | O_NONBLOCK);" +
    "fs.writeSync(fd, 'X', 0);";
  const spawnWriter = () => spawnSync(process.execPath, ["-e", write, path], { encoding: "utf8" });
  expect(spawnWriter().stderr).toMatch(/EAGAIN|EWOULDBLOCK/);
  files.yieldFileLeases();
  expect(spawnWriter()).toMatchObject({ status: 0, stderr: "" });
}
