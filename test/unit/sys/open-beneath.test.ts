import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasLibc } from "../../../src/sys/koffi.ts";
import { openBeneath } from "../../../src/sys/open-beneath.ts";
import { scratchFolder } from "../../support/scratch.ts";

// koffi is an optional dependency: without it files are opened by Node's own calls.
describe.skipIf(!hasLibc())("opening beneath a directory (needs koffi, and Linux 5.6)", () => {
  let folder: string;
  let directory: number;
  beforeAll(() => {
    folder = scratchFolder();
    mkdirSync(join(folder, "root/ab"), { recursive: true });
    writeFileSync(join(folder, "root/ab/file"), "content");
    writeFileSync(join(folder, "outside"), "outside");
    symlinkSync("file", join(folder, "root/ab/link"));
    symlinkSync("ab", join(folder, "root/cd"));
    symlinkSync(join(folder, "root/ab/file"), join(folder, "root/ab/absolute"));
    execFileSync("mkfifo", [join(folder, "root/ab/fifo")]);
    writeFileSync(join(folder, "root/large"), "");
    truncateSync(join(folder, "root/large"), 5 * 2 ** 32 + 7);
    directory = openSync(join(folder, "root"), constants.O_RDONLY | constants.O_DIRECTORY);
  });
  afterAll(() => {
    closeSync(directory);
  });

  test("gives a regular file and its size", () => {
    const { fd, size } = openBeneath(directory, "ab/file")!;
    expect(size).toBe(7);
    expect(readFileSync(fd, "utf8")).toBe("content");
    closeSync(fd);
    const large = openBeneath(directory, "large")!;
    expect(large.size).toBe(5 * 2 ** 32 + 7);
    closeSync(large.fd);
  });

  test.each([
    "ab/link",
    "cd/file",
    "ab/absolute",
    "../outside",
    "ab",
    "ab/fifo",
    "ab/none",
    "/etc/passwd",
  ])("gives nothing for %s, and leaves nothing open", (name) => {
    const before = readdirSync("/proc/self/fd").length;
    expect(openBeneath(directory, name)).toBeUndefined();
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});
