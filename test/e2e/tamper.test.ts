/**
 * The tamper matrix: an object is changed at each of six places and at each of four times, in every mode
 * and over every transport. What a reader gets is what the mode promises. With `block`: the right bytes
 * or an error, nothing else, and an error where the change is. With `open`: the right bytes or an error
 * until the change, and an error at the next open. With `metadata`: whatever the store has. The kernel
 * mode with fs-verity is in kernel-verity.test.ts.
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
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { probe } from "../../src/mount/probe/probe.ts";
import type { Inode } from "../../src/tree/inode.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, newDirectory, noLibfuse, noMount } from "../support/mount-bed.ts";
import { Reader } from "../support/reader.ts";
import { until } from "../support/until.ts";
import { succeeds } from "../support/run.ts";

const BLOCK = 4096;
const EIO = { errno: 5 };
const noPython = succeeds("python3", "-V") ? undefined : "no python3";

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
const allSizes = [20_000, 1_500_000, 40_960];
const opened = Buffer.alloc(0);
const stack = noMount() ?? noKernelStack();
const passthrough = ["--passthrough", "--require=open"];
const noPassthrough = stack ?? lackOf("passthrough");

interface Way {
  readonly way: string;
  readonly promise: "block" | "open" | "metadata";
  readonly args: readonly string[];
  readonly reason: string | undefined;
  readonly sizes: readonly number[];
}
const ways: readonly Way[] = [
  { way: "fuse over dev", promise: "block", args: ["--transport=dev"], reason: noMount(), sizes: allSizes }, // prettier-ignore
  { way: "fuse over fusermount", promise: "block", args: ["--transport=fusermount"], reason: noMount(), sizes: [20_000] }, // prettier-ignore
  { way: "fuse over libfuse", promise: "block", args: ["--transport=libfuse"], reason: noLibfuse(), sizes: [20_000] }, // prettier-ignore
  { way: "hybrid", promise: "block", args: ["--mode=hybrid"], reason: stack, sizes: allSizes },
  { way: "fuse with passthrough", promise: "open", args: ["--mode=fuse", ...passthrough], reason: noPassthrough, sizes: [20_000, 40_960] }, // prettier-ignore
  { way: "hybrid with passthrough", promise: "open", args: ["--mode=hybrid", ...passthrough], reason: noPassthrough, sizes: [20_000] }, // prettier-ignore
  { way: "kernel without fs-verity", promise: "metadata", args: ["--mode=kernel", "--require=metadata"], reason: stack ?? hasVerity(), sizes: [20_000] }, // prettier-ignore
];

/** Why the kernel cannot do something here; undefined when it can. */
function lackOf(what: "passthrough" | "verity"): string | undefined {
  const finding = probe(tmpdir())[what];
  return finding.ok ? undefined : finding.reason;
}

function hasVerity(): string | undefined {
  return lackOf("verity") === undefined ? "the kernel would check the content" : undefined;
}

/** What comes of opening a file and reading its first bytes. */
async function openAndRead(reader: Reader, path: string, length: number) {
  const result = await reader.do("open", path);
  return Buffer.isBuffer(result) ? reader.do("read", 0, length) : result;
}

describe.each(ways)("$way", ({ promise, args, reason: lack, sizes }) => {
  const reason = noPython ?? lack;
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
    for (const size of sizes) {
      for (const damage of damages) {
        for (const time of times) add(nameOf(size, damage.name, time), size);
      }
    }
    for (const name of ["one", "gone", "link", "other", "secret", "repaired"]) add(name, 4096);
    bed.addTree("tamper", root);
    mnt = bed.mount("tamper", args);
  });
  afterAll(async () => {
    if (reason !== undefined) return;
    await shared.end();
    bed.close();
  });

  /** What the log says about a file: the kernel may still read ahead in the one before. */
  const linesAbout = (name: string) => bed.readLog().filter((line) => line.includes(` /${name}: `));

  const cases = sizes.flatMap((size) =>
    damages.flatMap((damage) => times.map((time) => ({ size, damage, time, what: damage.name }))),
  );
  test.each(cases)("$size bytes, $what $time", async ({ size, damage, time }) => {
    const name = nameOf(size, damage.name, time);
    const { bytes, inode } = files.get(name)!;
    const path = join(mnt, name);
    const isMapped = time === "while mapped";
    const hurt = () => damage.does(bed.objectOf(inode), size);
    bed.clearLog();
    if (time === "before open") hurt();
    if (time === "before open" && promise !== "metadata") {
      // Nothing of it is read, not even blocks that are as signed.
      expect(await openAndRead(shared, path, 1)).toEqual(EIO);
      await until(() => linesAbout(name).length > 0);
      expect(linesAbout(name)).toEqual([
        expect.stringMatching(`/${name}: (OPEN|READ): object ${inode.digest}`),
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
    if (time !== "before open") hurt();
    const bad = damage.block(size);
    if (promise !== "block") {
      await expectUnprotected(reader, bytes, { bad, isMapped, onwards: damage.onwards ?? false });
      await reader.do("close");
      if (isMapped) await reader.end();
      if (promise === "metadata") return;
      expect(await shared.do("open", path)).toEqual(EIO);
      await until(() => bed.readLog().some((line) => line.includes(inode.digest!)));
      return;
    }
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
    await until(() => bed.readLog().some((line) => line.includes(inode.digest!)));
  });

  /** The kernel reads the file as it is: the change shows, and nothing but the change. */
  async function expectUnprotected(
    reader: Reader,
    bytes: Buffer,
    damage: { bad: number | undefined; isMapped: boolean; onwards: boolean },
  ): Promise<void> {
    const { bad, isMapped, onwards } = damage;
    for (const block of blocksToRead(bytes.length)) {
      if (onwards && bad !== undefined && block >= bad) continue; // beyond the end
      const want = bytes.subarray(block * BLOCK, (block + 1) * BLOCK);
      const got = await reader.do(isMapped ? "touch" : "read", block * BLOCK, want.length);
      expect((got as Buffer).equals(want), `block ${block}`).toBe(block !== bad);
    }
  }

  const oneBlock = (name: string, hurt: (path: string) => void, message: RegExp) =>
    test(`one block: ${name}`, async () => {
      const { inode, bytes } = files.get(name)!;
      bed.clearLog();
      hurt(bed.objectOf(inode));
      expect(await openAndRead(shared, join(mnt, name), bytes.length)).toEqual(EIO);
      await until(() => linesAbout(name).length > 0);
      const lines = linesAbout(name);
      expect(lines.length).toBe(1);
      expect(lines[0]).toMatch(message);
    });

  describe.runIf(promise !== "metadata")("other damage", () => {
    oneBlock("one", (path) => flip(path, 4095), /(OPEN|READ): object .*: content has [0-9a-f]{64}/);
    oneBlock("gone", (path) => rmSync(path), /(OPEN|READ): object .*: not in /);
    oneBlock(
      "link",
      (path) => {
        renameSync(path, `${path}.real`);
        symlinkSync(`${path}.real`, path);
      },
      /(OPEN|READ): object .*symbolic link/,
    );
    oneBlock(
      "other",
      (path) => {
        writeFileSync(`${path}.new`, content(4096, 99));
        renameSync(`${path}.new`, path);
      },
      /(OPEN|READ): object .*: content has /,
    );
    oneBlock(
      "secret",
      (path) => {
        rmSync(path);
        spawnSync("mkdir", [path]);
        chmodSync(path, 0);
      },
      /(OPEN|READ): object .*directory/,
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
