/** Regular files, new and staged ones, and directories. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FormatError, IntegrityError, NotFoundError, SystemError } from "../../../src/errors.ts";
import { readFully, writeFully } from "../../../src/fs/descriptor-io.ts";
import { makeDirectory, makePrivateDirectories, newDirectory } from "../../../src/fs/directory.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import { openNewFile } from "../../../src/fs/new-file.ts";
import { openRegular, readRegular } from "../../../src/fs/regular-file.ts";
import { StagedFile, writeStagedFile } from "../../../src/fs/staged-file.ts";
import { syncPath } from "../../../src/fs/sync.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (name: string) => join(folder, name);
const here = () => HeldDirectory.open(folder);
const modeOf = (name: string) => lstatSync(at(name)).mode & 0o7777;
const umask = process.umask();

beforeEach(() => {
  folder = scratchFolder();
  process.umask(0o077);
});
afterEach(() => {
  process.umask(umask);
});

describe("a regular file", () => {
  test("is opened with its size, and read up to the cap", () => {
    writeFileSync(at("file"), "content");
    const { fd, size } = openRegular(at("file"), "file");
    closeSync(fd);
    expect(size).toBe(7);
    expect(Buffer.from(readRegular(at("file"), 7, "file")).toString()).toBe("content");
    expect(() => readRegular(at("file"), 6, "file")).toThrow(
      new FormatError("LIMIT", "file: expected at most 6 bytes, got 7"),
    );
  });

  test("is what nothing else is taken for, and nothing is waited for", () => {
    writeFileSync(at("file"), "");
    mkdirSync(at("folder"));
    symlinkSync("file", at("link"));
    spawnSync("mkfifo", [at("fifo")]);
    for (const name of ["folder", "link", "fifo", "file/below"]) {
      expect(() => openRegular(at(name), name), name).toThrow(IntegrityError);
    }
    expect(() => openRegular(at("none"), "none")).toThrow(NotFoundError);
  });
});

describe("a new file", () => {
  test("has exactly its mode, whatever the umask", () => {
    closeSync(openNewFile(at("file"), 0o644));
    writeStagedFile(here(), "staged", Buffer.from("x"), true);
    expect([modeOf("file"), modeOf("staged")]).toEqual([0o644, 0o444]);
  });

  test("is never put in the place of another", () => {
    symlinkSync("nowhere", at("link"));
    expect(() => openNewFile(at("link"), 0o644)).toThrow("EEXIST");
    expect(() => new StagedFile(here(), "link")).toThrow(SystemError);
  });
});

test("a staged file counts what is written to it", () => {
  const file = new StagedFile(here(), "file");
  file.write(Buffer.from("one "));
  file.write(Buffer.from("two"));
  file.close(false);
  expect([file.size, readFileSync(at("file"), "utf8")]).toEqual([7, "one two"]);
});

test("a staged file that cannot be written is closed, and its error is one of the system", () => {
  const script = `
    const { StagedFile } = await import(${JSON.stringify(join(import.meta.dirname, "../../../dist/fs/staged-file.js"))});
    const { HeldDirectory } = await import(${JSON.stringify(join(import.meta.dirname, "../../../dist/fs/held-directory.js"))});
    const directory = HeldDirectory.open(${JSON.stringify(at("."))});
    const file = new StagedFile(directory, "file");
    try { file.write(Buffer.alloc(4096, 1)); } catch (error) { console.log(error.name, error.code); }
    file.abandon();
    const { readdirSync, readlinkSync } = await import("node:fs");
    const open = readdirSync("/proc/self/fd").map((fd) => {
      try { return readlinkSync("/proc/self/fd/" + fd); } catch {}
    });
    console.log(open.includes(${JSON.stringify(at("file"))}));`;
  const limited = `ulimit -f 1; exec '${process.execPath}' --input-type=module -e "$0"`;
  const { stdout } = spawnSync("bash", ["-c", limited, script], { encoding: "utf8" });
  expect(stdout).toBe("SystemError NO_SPACE\nfalse\n");
});

test("reading and writing in full start where they are told", () => {
  const fd = openSync(at("file"), "wx+");
  writeFully(fd, Buffer.from("abc"));
  writeFully(fd, Buffer.from("def"));
  writeFully(fd, Buffer.from("XY"), 1);
  const bytes = Buffer.alloc(10);
  expect(readFully(fd, bytes, 1)).toBe(5);
  closeSync(fd);
  expect(bytes.toString("latin1", 0, 5)).toBe("XYdef");
});

test("private directories that several processes make at once are made by all of them", async () => {
  const module = join(import.meta.dirname, "../../../dist/fs/directory.js");
  const script = `
    const { makePrivateDirectories } = await import(${JSON.stringify(module)});
    const start = Number(process.argv[2]);
    while (Date.now() < start);
    for (let i = 0; i < 300; i++) makePrivateDirectories(process.argv[1] + "/" + i + "/a/b/c");`;
  const start = String(Date.now() + 1500);
  const runs = [1, 2, 3, 4].map(async () => {
    const child = spawn(
      process.execPath,
      ["--input-type=module", "-e", script, at("many"), start],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    return ((await once(child, "exit")) as [number])[0];
  });
  expect(await Promise.all(runs)).toEqual([0, 0, 0, 0]);
  expect(modeOf("many/299/a/b/c")).toBe(0o700);
});

describe("a directory", () => {
  test("has exactly its mode, or that of the one that it is in", () => {
    newDirectory(at("own"), 0o775);
    makeDirectory(at("own/below"));
    makeDirectory(at("given"), 0o711);
    expect(["own", "own/below", "given"].map(modeOf)).toEqual([0o775, 0o775, 0o711]);
  });

  test("may exist where it is to be made, but not where it is to be new", () => {
    newDirectory(at("one"), 0o700);
    makeDirectory(at("one"), 0o755);
    expect(modeOf("one")).toBe(0o700);
    expect(() => newDirectory(at("one"), 0o700)).toThrow("EEXIST");
  });

  test("is made with those above it for its user alone, and a file in the way is told", () => {
    process.umask(0);
    makePrivateDirectories(at("a/b/c"));
    makePrivateDirectories(at("a/b/c"));
    expect(["a", "a/b", "a/b/c"].map(modeOf)).toEqual([0o700, 0o700, 0o700]);
    writeFileSync(at("file"), "");
    expect(() => makePrivateDirectories(at("file/below"))).toThrow("ENOTDIR");
  });
});

test("files and directories are brought to the disk by their path", () => {
  writeFileSync(at("file"), "x");
  syncPath(at("file"));
  syncPath(folder);
  expect(() => syncPath(at("none"))).toThrow("ENOENT");
});
