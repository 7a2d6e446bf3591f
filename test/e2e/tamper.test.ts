/**
 * The tamper matrix: an object is changed at each of six places and at each of four times; a reader
 * gets the right bytes or an error, nothing else, and an error where the change is.
 */
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import type { Inode } from "../../src/tree/inode.ts";
import { MountBed, newDirectory, noLibfuse, noMount, until } from "../support/mount-bed.ts";
import { Reader } from "../support/reader.ts";

const BLOCK = 4096;
const EIO = { errno: 5 };
const noPython = spawnSync("python3", ["-V"]).status === 0 ? undefined : "no python3";

function content(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 12) * 17 + seed) & 0xff;
  return bytes;
}

interface Damage {
  readonly name: string;
  /** The first block that is not as signed any more; undefined when all of them still are. */
  readonly block: (size: number) => number | undefined;
  /** Whether every block from that one on is bad, too. */
  readonly onwards?: true;
  readonly does: (path: string, size: number) => void;
}

function flip(path: string, offset: number): void {
  const fd = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Uint8Array.of(byte[0]! ^ 1), 0, 1, offset);
  closeSync(fd);
}

const changeAt = (name: string, offset: (size: number) => number): Damage => ({
  name,
  block: (size) => Math.floor(offset(size) / BLOCK),
  does: (path, size) => flip(path, offset(size)),
});

const damages: readonly Damage[] = [
  changeAt("byte 0 changed", () => 0),
  changeAt("byte 4095 changed", () => 4095),
  changeAt("byte 4096 changed", () => 4096),
  changeAt("last byte changed", (size) => size - 1),
  { name: "a byte appended", block: () => undefined, does: (path) => appendFileSync(path, "x") },
  {
    name: "truncated",
    block: (size) => Math.floor((size - 5000) / BLOCK),
    onwards: true,
    does: (path, size) => truncateSync(path, size - 5000),
  },
];

/** The first blocks, the last ones, and some between. */
function blocksToRead(size: number): number[] {
  const blocks = Array.from({ length: Math.ceil(size / BLOCK) }, (_, block) => block);
  return blocks.filter((block) => block < 10 || block > blocks.length - 5 || block % 50 === 0);
}

const times = ["before open", "after open", "after a read", "while mapped"] as const;
// Hashed when opened; with leaves kept in the store; and with a last block that is full.
const sizesOver = { dev: [20_000, 1_500_000, 40_960], libfuse: [20_000] };
const opened = Buffer.alloc(0);

/** What comes of opening a file and reading its first bytes. */
async function openAndRead(reader: Reader, path: string, length: number) {
  const result = await reader.do("open", path);
  return Buffer.isBuffer(result) ? reader.do("read", 0, length) : result;
}

describe.each([
  { transport: "dev" as const, reason: noPython ?? noMount() },
  { transport: "libfuse" as const, reason: noPython ?? noLibfuse() },
])("over $transport", ({ transport, reason }) => {
  beforeEach((context) => context.skip(reason !== undefined, reason));
  let bed: MountBed;
  let mnt: string;
  let shared: Reader;
  const files = new Map<string, { bytes: Buffer; inode: Inode }>();
  const nameOf = (...words: (string | number)[]) => words.join("-").replaceAll(" ", "_");

  beforeAll(() => {
    if (reason !== undefined) return;
    bed = new MountBed();
    shared = new Reader();
    const root = newDirectory();
    const add = (name: string, size: number) => {
      const bytes = content(size, files.size);
      const inode = bed.file(bytes);
      root.entries.set(ascii(name), inode);
      files.set(name, { bytes, inode });
    };
    for (const size of sizesOver[transport]) {
      for (const damage of damages) {
        for (const time of times) add(nameOf(size, damage.name, time), size);
      }
    }
    for (const name of ["one", "gone", "link", "other", "secret", "repaired"]) add(name, 4096);
    bed.addTree("tamper", root);
    mnt = bed.mount("tamper", ["--transport", transport]);
  });
  afterAll(async () => {
    if (reason !== undefined) return;
    await shared.end();
    bed.close();
  });

  const cases = sizesOver[transport].flatMap((size) =>
    damages.flatMap((damage) => times.map((time) => ({ size, damage, time, what: damage.name }))),
  );
  test.each(cases)("$size bytes, $what $time", async ({ size, damage, time }) => {
    const name = nameOf(size, damage.name, time);
    const { bytes, inode } = files.get(name)!;
    const path = join(mnt, name);
    const isMapped = time === "while mapped";
    const hurt = () => damage.does(bed.objectOf(inode), size);
    bed.clearLog();
    if (time === "before open") {
      hurt();
      // Nothing of it is read, not even blocks that are as signed.
      expect(await openAndRead(shared, path, 1)).toEqual(EIO);
      await until(() => bed.readLog().length > 0);
      expect(bed.readLog()).toEqual([
        expect.stringContaining(`/${name}: OPEN: object ${inode.digest}`),
      ]);
      return;
    }
    let reader = isMapped ? new Reader() : shared;
    expect(await reader.do("open", path)).toEqual(opened);
    if (isMapped) await reader.do("mmap");
    if (time === "after a read") {
      expect(bytes.equals((await reader.do("read", 0, size)) as Buffer)).toBe(true);
      await reader.do("drop");
    }
    hurt();
    const bad = damage.block(size);
    let deaths = 0;
    for (const block of blocksToRead(size)) {
      const at = block * BLOCK;
      const want = bytes.subarray(at, at + BLOCK);
      const got = await reader.do(isMapped ? "touch" : "read", at, want.length);
      const isBad = bad !== undefined && (damage.onwards ? block >= bad : block === bad);
      // A good block beside a bad one may fail with it: the kernel reads several at once.
      const failure = isMapped ? "SIGBUS" : EIO;
      if (isBad || !Buffer.isBuffer(got)) expect(got, `block ${block}`).toEqual(failure);
      else expect(got.equals(want), `block ${block}`).toBe(true);
      if (got !== "SIGBUS") continue;
      if ((deaths += 1) > 2) break;
      // The reader is dead, the server is not: the next one may fail to open, but not hang.
      reader = new Reader();
      const again = await reader.do("open", path);
      if (Buffer.isBuffer(again)) await reader.do("mmap");
      else expect(again).toEqual(EIO);
      if (!Buffer.isBuffer(again)) break;
    }
    await reader.do("close");
    if (isMapped) await reader.end();
    if (bad === undefined) return;
    expect(await until(() => bed.readLog().some((line) => line.includes(inode.digest!)))).toBe(
      true,
    );
  });

  const oneBlock = (name: string, hurt: (path: string) => void, message: RegExp) =>
    test(`one block: ${name}`, async () => {
      const { inode, bytes } = files.get(name)!;
      bed.clearLog();
      hurt(bed.objectOf(inode));
      expect(await openAndRead(shared, join(mnt, name), bytes.length)).toEqual(EIO);
      await until(() => bed.readLog().length > 0);
      const lines = bed.readLog();
      expect(lines.length).toBe(1);
      expect(lines[0]).toMatch(message);
      expect(lines[0]).toContain(`/${name}: `);
    });

  describe("other damage", () => {
    oneBlock("one", (path) => flip(path, 4095), /READ: object .*: content has [0-9a-f]{64}/);
    oneBlock("gone", (path) => rmSync(path), /OPEN: object .*: not in /);
    oneBlock(
      "link",
      (path) => {
        renameSync(path, `${path}.real`);
        symlinkSync(`${path}.real`, path);
      },
      /OPEN: object .*symbolic link/,
    );
    oneBlock(
      "other",
      (path) => {
        writeFileSync(`${path}.new`, content(4096, 99));
        renameSync(`${path}.new`, path);
      },
      /READ: object .*: content has /,
    );
    oneBlock(
      "secret",
      (path) => {
        rmSync(path);
        spawnSync("mkdir", [path]);
        chmodSync(path, 0);
      },
      /OPEN: object .*directory/,
    );

    test("what has been repaired can be read at once", async () => {
      const { inode, bytes } = files.get("repaired")!;
      const object = bed.objectOf(inode);
      rmSync(object);
      expect(await openAndRead(shared, join(mnt, "repaired"), 4096)).toEqual(EIO);
      writeFileSync(object, bytes);
      expect(await openAndRead(shared, join(mnt, "repaired"), 4096)).toEqual(bytes);
    });

    test("a thousand tries at a bad object are one line in the log", async () => {
      const { inode } = files.get("gone")!;
      bed.clearLog();
      const reader = new Reader();
      for (let i = 0; i < 1000; i++)
        expect(await openAndRead(reader, join(mnt, "gone"), 1)).toEqual(EIO);
      await reader.end();
      expect(bed.readLog().filter((line) => line.includes(inode.digest!)).length).toBeLessThan(2);
    });
  });
});
