/** Archives that GNU tar, bsdtar and Python write of a real tree are read as the tree is. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type ReadEntry, readTar } from "../../support/tar.ts";
import { hasProgram } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const isRoot = process.getuid?.() === 0;
let hasXattrs = false;

/** A path below the tree, given as bytes. */
const at = (name: string) => Buffer.from(`${folder}/tree/${name}`, "latin1");

beforeAll(() => {
  folder = scratchFolder();
  mkdirSync(join(folder, "tree"));
  mkdirSync(at("dir"));
  writeFileSync(at("dir/empty"), "");
  writeFileSync(at("dir/file"), "content\n".repeat(1000));
  writeFileSync(at("dir/suid"), "#!");
  chmodSync(at("dir/suid"), 0o4755);
  linkSync(at("dir/file"), at("hard"));
  symlinkSync("dir/file", at("link"));
  mkdirSync(at(`l${"o".repeat(120)}ng`));
  writeFileSync(at(`l${"o".repeat(120)}ng/${"n".repeat(200)}`), "long");
  symlinkSync(`/${"t".repeat(400)}`, at("longlink"));
  writeFileSync(at("bad\xff\xfeutf8"), "bytes");
  writeFileSync(at("new\nline"), "line");
  writeFileSync(at("old"), "before 1970");
  utimesSync(at("old"), -86_400, -86_400);
  lutimesSync(at("link"), 1_600_000_000, 1_600_000_000);
  writeFileSync(at("sparse"), "head");
  truncateSync(at("sparse"), 300_000);
  const xattr = spawnSync("python3", [
    "-c",
    "import os,sys; os.setxattr(sys.argv[1].encode(), 'user.bin', bytes(range(256)))",
    join(folder, "tree/dir/file"),
  ]);
  hasXattrs = xattr.status === 0;
  if (isRoot) {
    spawnSync("mknod", [join(folder, "tree/null"), "c", "1", "3"]);
    spawnSync("mknod", [join(folder, "tree/disk"), "b", "259", "300"]);
    spawnSync("mkfifo", [join(folder, "tree/pipe")]);
    spawnSync("chown", ["70000:3000000", join(folder, "tree/dir/suid")]);
    chmodSync(at("dir/suid"), 0o4755);
  }
});

interface Expectation {
  /** The format keeps nanoseconds. */
  nanoseconds: boolean;
  xattrs: boolean;
}

/** Compares entries with the tree on disk. */
function expectTree(entries: readonly ReadEntry[], { nanoseconds, xattrs }: Expectation): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const name = entry.path.replace(/^\.\//, "").replace(/\/$/, "");
    expect(seen.has(name)).toBe(false);
    seen.add(name);
    const stat = lstatSync(at(name), { bigint: true });
    const shown = JSON.stringify(name);
    if (entry.type === "hardlink") {
      const target = lstatSync(at(entry.linkPath), { bigint: true });
      expect(target.ino, shown).toBe(stat.ino);
      continue;
    }
    expect(entry.type, shown).toBe(typeOf(stat));
    expect(entry.uid, shown).toBe(Number(stat.uid));
    expect(entry.gid, shown).toBe(Number(stat.gid));
    expect(entry.mode, shown).toBe(Number(stat.mode & 0o7777n));
    const isDevice = entry.type === "character" || entry.type === "block";
    expect(entry.rdev, shown).toBe(isDevice ? Number(stat.rdev) : 0);
    const time = entry.mtimeSeconds * 1_000_000_000n + BigInt(entry.mtimeNanoseconds);
    // Without nanoseconds, tools round down; bsdtar towards zero.
    if (nanoseconds) expect(time, shown).toBe(stat.mtimeNs);
    else expect(entry.mtimeSeconds, shown).toBe(stat.mtimeNs / 1_000_000_000n);
    if (entry.type === "symlink") {
      expect(entry.linkPath, shown).toBe(readlinkSync(at(name), "latin1"));
    }
    if (entry.type === "file") {
      expect(entry.size, shown).toBe(Number(stat.size));
      const content = Buffer.from(entry.content ?? []);
      expect(content.equals(readFileSync(at(name))), shown).toBe(true);
    }
    if (name === "dir/file" && xattrs && hasXattrs) {
      const value = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
      expect(entry.xattrs.get("user.bin" as never)).toBe(value);
    }
  }
  expect(seen.size).toBe(isRoot ? 17 : 14);
}

function typeOf(stat: ReturnType<typeof lstatSync> & object): ReadEntry["type"] {
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "character";
  if (stat.isBlockDevice()) return "block";
  return stat.isFIFO() ? "fifo" : "file";
}

function archiveOf(command: string, args: readonly string[]): Buffer {
  const made = spawnSync(command, args, { cwd: join(folder, "tree"), maxBuffer: 64 << 20 });
  expect(made.stderr.toString()).not.toMatch(/error|Cannot/i);
  expect(made.status).toBe(0);
  return made.stdout;
}

describe.skipIf(!hasProgram("tar"))("GNU tar (skipped where it is missing)", () => {
  const names = ["--sort=name", "-cf", "-", "."];

  test.each([
    ["gnu", [], { nanoseconds: false, xattrs: false }],
    ["oldgnu", [], { nanoseconds: false, xattrs: false }],
    ["posix", ["--xattrs"], { nanoseconds: true, xattrs: true }],
    ["posix", ["--sparse", "--sparse-version=0.0"], { nanoseconds: true, xattrs: false }],
    ["posix", ["--sparse", "--sparse-version=0.1"], { nanoseconds: true, xattrs: false }],
    ["posix", ["--sparse", "--sparse-version=1.0"], { nanoseconds: true, xattrs: false }],
  ])("--format=%s %j", (format, options, expectation) => {
    const bytes = archiveOf("tar", [`--format=${format}`, ...options, ...names]);
    const entries = readTar(bytes);
    expectTree(entries, expectation);
    expect(entries.some(({ segments }) => segments !== undefined)).toBe(
      options.includes("--sparse"),
    );
  });

  test("an old sparse file is refused", () => {
    const bytes = archiveOf("tar", ["--format=gnu", "--sparse", "-cf", "-", "sparse"]);
    expect(() => readTar(bytes)).toThrow("an old GNU sparse file");
  });

  test.each(["v7", "ustar"])("--format=%s", (format) => {
    const bytes = archiveOf("tar", [`--format=${format}`, "-cf", "-", "dir/file", "hard", "link"]);
    expect(readTar(bytes).map(({ path, type }) => [path, type])).toEqual([
      ["dir/file", "file"],
      ["hard", "hardlink"],
      ["link", "symlink"],
    ]);
  });
});

describe.skipIf(!hasProgram("bsdtar"))("bsdtar (skipped where it is missing)", () => {
  test.each([
    ["pax", { nanoseconds: true, xattrs: true }],
    ["gnutar", { nanoseconds: false, xattrs: false }],
  ])("--format=%s", (format, expectation) => {
    const bytes = archiveOf("bsdtar", [`--format=${format}`, "-cf", "-", "."]);
    const entries = readTar(bytes);
    if (format === "pax") expectTree(entries, expectation);
    else expect(entries).toHaveLength(isRoot ? 17 : 14);
  });
});

describe.skipIf(!hasProgram("python3"))("Python's tarfile (skipped where it is missing)", () => {
  test.each(["PAX", "GNU"])("%s_FORMAT", (format) => {
    const script = [
      "import os, sys, tarfile",
      `tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.${format}_FORMAT)`,
      "for name in [b'dir', b'dir/file', b'hard', b'link', b'longlink', b'bad\\xff\\xfeutf8']:",
      "    tar.add(os.fsdecode(name), recursive=False)",
      "tar.close()",
    ].join("\n");
    const bytes = archiveOf("python3", ["-c", script]);
    expect(readTar(bytes).map(({ path, type, size }) => [path, type, size])).toEqual([
      ["dir/", "directory", 0],
      ["dir/file", "file", 8000],
      ["hard", "hardlink", 0],
      ["link", "symlink", 0],
      ["longlink", "symlink", 0],
      ["bad\xff\xfeutf8", "file", 5],
    ]);
  });
});
