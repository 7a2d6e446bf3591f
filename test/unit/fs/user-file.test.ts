/** Files that the user has named, and reading them no further than the cap. */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { FormatError, NotFoundError } from "../../../src/errors.ts";
import { isUserFile, openUserFile, readUserFile } from "../../../src/fs/user-file.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (name: string) => join(folder, name);

beforeEach(() => {
  folder = scratchFolder();
  writeFileSync(at("file"), "content");
});

const read = (name: string, max = 7) => Buffer.from(readUserFile(at(name), max, name)).toString();

test("a file is read up to the cap, through links, and one byte more is refused", () => {
  symlinkSync("file", at("link"));
  expect([read("file"), read("link")]).toEqual(["content", "content"]);
  expect(() => read("file", 6)).toThrow(
    new FormatError("LIMIT", "file: expected at most 6 bytes, got 7"),
  );
});

test("an empty file is read, whatever the cap", () => {
  writeFileSync(at("empty"), "");
  expect(read("empty", 0)).toBe("");
});

test("a device without an end is read up to the cap and no further", () => {
  expect(() => readUserFile("/dev/zero", 200_000, "zeros")).toThrow(
    new FormatError("LIMIT", "zeros: expected at most 200000 bytes, got 200001"),
  );
});

test("a pipe is read to its end, however long that is", () => {
  const module = join(import.meta.dirname, "../../../dist/fs/user-file.js");
  const script = `import(${JSON.stringify(module)}).then(({ readUserFile }) =>
    console.log(readUserFile("/dev/stdin", 1_000_000, "pipe").length))`;
  const command = `head -c 300000 /dev/zero | '${process.execPath}' -e '${script}'`;
  expect(spawnSync("sh", ["-c", command], { encoding: "utf8" }).stdout).toBe("300000\n");
});

test("what is not there is told, with a hint where to look", () => {
  for (const name of ["none", "file/below"]) {
    const wanted = { code: "NO_FILE", message: "a key: no such file", hint: "look there" };
    expect(() => openUserFile(at(name), "a key", "look there")).toThrow(
      expect.objectContaining(wanted),
    );
    expect(() => readUserFile(at(name), 1, "a key", "look there")).toThrow(NotFoundError);
  }
});

test("only a regular file is one that need not be waited for", () => {
  mkdirSync(at("folder"));
  symlinkSync("file", at("link"));
  symlinkSync("none", at("dangling"));
  spawnSync("mkfifo", [at("fifo")]);
  expect(["file", "link"].map((name) => isUserFile(at(name)))).toEqual([true, true]);
  for (const name of ["folder", "dangling", "fifo", "none"]) {
    expect(isUserFile(at(name)), name).toBe(false);
  }
});
