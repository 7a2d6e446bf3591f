/** Files that appear whole or not at all: every way of making one, and every call that can fail. */
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import {
  type AtomicFileOptions,
  createFile,
  createFileIfAbsent,
  replaceFile,
} from "../../../src/fs/atomic-file.ts";
import { scratchFolder } from "../../support/scratch.ts";

/** The calls that fail, with their error; and what was called. */
const { failing, calls } = vi.hoisted(() => ({
  failing: new Map<string, string>(),
  calls: [] as string[],
}));

vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof import("node:fs")>();
  const watched = ["openSync", "writeSync", "fsyncSync", "linkSync", "renameSync"] as const;
  const wrap =
    (name: (typeof watched)[number]) =>
    (...args: unknown[]) => {
      calls.push(name);
      const code = failing.get(name);
      if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
      return (fs[name] as (...args: unknown[]) => unknown)(...args);
    };
  return { ...fs, ...Object.fromEntries(watched.map((name) => [name, wrap(name)])) };
});

let folder: string;
const at = (name: string) => join(folder, name);
const umask = process.umask();
const usual: AtomicFileOptions = { mode: 0o640, sync: true };

beforeEach(() => {
  folder = scratchFolder();
  process.umask(0o027);
  calls.length = 0;
});

afterEach(() => {
  failing.clear();
  process.umask(umask);
});

const modeOf = (name: string) => lstatSync(at(name)).mode & 0o7777;
const textOf = (name: string) => readFileSync(at(name), "utf8");

const ways = [
  ["replaceFile", replaceFile],
  ["createFileIfAbsent", createFileIfAbsent],
  ["createFile", createFile],
] as const;

describe.each(ways)("%s", (_, make) => {
  test("makes a file of text or bytes, alone in its directory", () => {
    make(at("text"), "täxt", usual);
    make(at("bytes"), Uint8Array.of(0, 255), usual);
    expect(readdirSync(folder)).toEqual(["bytes", "text"]);
    expect(textOf("text")).toBe("täxt");
    expect([...readFileSync(at("bytes"))]).toEqual([0, 255]);
  });

  test("gives it the mode that the umask leaves, or exactly the mode", () => {
    make(at("masked"), "", { mode: 0o666, sync: false });
    make(at("exact"), "", { mode: 0o666, ignoreUmask: true, sync: false });
    make(at("read only"), "x", { mode: 0o444, ignoreUmask: true, sync: false });
    expect(["masked", "exact", "read only"].map(modeOf)).toEqual([0o640, 0o666, 0o444]);
  });

  test("writes at the temporary path that it is given", () => {
    mkdirSync(at("tmp"));
    writeFileSync(at("tmp/taken"), "of another");
    const options = { ...usual, temporary: at("tmp/taken") };
    expect(() => make(at("file"), "x", options)).toThrow(/EEXIST/);
    expect(textOf("tmp/taken")).toBe("of another");
    make(at("file"), "x", { ...usual, temporary: at("tmp/free") });
    expect(textOf("file")).toBe("x");
    expect(readdirSync(at("tmp"))).toEqual(["taken"]);
  });

  test("waits for the disk where it is asked to: the content first, then the name", () => {
    make(at("a"), "x", { ...usual, sync: true });
    const place = calls.includes("linkSync") ? "linkSync" : "renameSync";
    expect(calls).toEqual(["openSync", "writeSync", "fsyncSync", place, "openSync", "fsyncSync"]);
    calls.length = 0;
    make(at("b"), "x", { ...usual, sync: false });
    expect(calls).toEqual(["openSync", "writeSync", place]);
  });

  test.each([
    ["writeSync", "ENOSPC"],
    ["fsyncSync", "EIO"],
    ["openSync", "EACCES"],
  ])("leaves nothing when %s fails", (call, code) => {
    failing.set(call, code);
    expect(() => make(at("file"), "content", usual)).toThrow(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("leaves nothing when its name cannot be had", () => {
    for (const call of ["renameSync", "linkSync"]) failing.set(call, "EACCES");
    expect(() => make(at("file"), "content", usual)).toThrow("EACCES");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("fails where there is no directory", () => {
    expect(() => make(at("none/file"), "content", usual)).toThrow("ENOENT");
  });
});

describe("a name that is taken", () => {
  beforeEach(() => writeFileSync(at("file"), "old"));

  test("leads to the new content after replaceFile", () => {
    replaceFile(at("file"), "new", usual);
    expect(textOf("file")).toBe("new");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test.each(["writeSync", "fsyncSync", "renameSync"])(
    "leads to the old content when %s fails in replaceFile",
    (call) => {
      failing.set(call, "EIO");
      expect(() => replaceFile(at("file"), "new", usual)).toThrow("EIO");
      expect(textOf("file")).toBe("old");
      expect(readdirSync(folder)).toEqual(["file"]);
    },
  );

  test("is replaced where it is a link, which is not followed", () => {
    symlinkSync("file", at("link"));
    replaceFile(at("link"), "new", usual);
    expect([textOf("file"), textOf("link")]).toEqual(["old", "new"]);
  });

  test("stays as it is after createFileIfAbsent and createFile", () => {
    symlinkSync("nowhere", at("dangling"));
    for (const name of ["file", "dangling"]) {
      expect(createFileIfAbsent(at(name), "new", usual)).toBe(false);
      expect(() => createFile(at(name), "new", usual)).toThrow(
        new UsageError("USAGE", `${at(name)}: exists already, and is not overwritten`),
      );
    }
    expect(textOf("file")).toBe("old");
    expect(readdirSync(folder)).toEqual(["dangling", "file"]);
  });
});

describe.each(["EPERM", "EOPNOTSUPP"])("where the file system answers link by %s", (code) => {
  beforeEach(() => failing.set("linkSync", code));

  test("a file is made all the same", () => {
    expect(createFileIfAbsent(at("file"), "content", usual)).toBe(true);
    expect(textOf("file")).toBe("content");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("a name that is taken stays as it is", () => {
    writeFileSync(at("file"), "old");
    expect(createFileIfAbsent(at("file"), "new", usual)).toBe(false);
    expect(textOf("file")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });
});
