/** Names below a held directory: whatever stands on the way or in the place, nothing outside is touched. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { IntegrityError } from "../../../src/errors.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import * as beneath from "../../../src/sys/open-beneath.ts";

vi.mock(import("../../../src/sys/open-beneath.ts"), async (original) => {
  const real = await original();
  return { ...real, openDirectoryBeneath: vi.fn(real.openDirectoryBeneath) };
});

let folder: string;
let held: HeldDirectory;
const inside = (...names: string[]) => join(folder, "held", ...names);
const outside = (...names: string[]) => join(folder, "outside", ...names);
const openDescriptors = () => readdirSync("/proc/self/fd").length;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sealfs-held-"));
  mkdirSync(inside("a", "b"), { recursive: true });
  mkdirSync(outside("b", "empty"), { recursive: true });
  writeFileSync(inside("a", "b", "file"), "inside");
  writeFileSync(outside("b", "file"), "outside");
  held = HeldDirectory.open(inside());
});
afterEach(() => {
  held.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every operation on a name below `a/b`. */
const operations: [string, (held: HeldDirectory) => unknown][] = [
  ["below", (d) => d.below("a/b").close()],
  ["stat", (d) => d.stat("a/b/file")],
  ["names", (d) => d.names("a/b")],
  ["readLink", (d) => d.readLink("a/b/file")],
  ["open", (d) => closeSync(d.open("a/b/file", constants.O_RDWR))],
  ["openRegular", (d) => closeSync(d.openRegular("a/b/file", "file").fd)],
  ["newFile", (d) => closeSync(d.newFile("a/b/new", 0o600))],
  ["newDirectory", (d) => d.newDirectory("a/b/new", 0o700)],
  ["makeDirectory", (d) => d.makeDirectory("a/b/empty")],
  ["symlink", (d) => d.symlink("target", "a/b/new")],
  ["rename from", (d) => d.rename("a/b/file", "moved")],
  ["rename to", (d) => d.rename("own", "a/b/file")],
  ["link from", (d) => d.link("a/b/file", "linked")],
  ["link to", (d) => d.link("own", "a/b/new")],
  ["unlink", (d) => d.unlink("a/b/file")],
  ["removeDirectory", (d) => d.removeDirectory("a/b/empty")],
  ["removeTree", (d) => d.removeTree("a/b/empty")],
  ["sync", (d) => d.sync("a/b/file")],
];

describe.each([
  ["with openat2", false],
  ["component by component, without koffi", true],
])("%s", (_, isWalked) => {
  beforeEach(() => {
    if (isWalked) vi.mocked(beneath.openDirectoryBeneath).mockReturnValue(undefined);
  });
  afterEach(() => void vi.mocked(beneath.openDirectoryBeneath).mockReset());

  test.each(operations)("%s goes through no link, wherever on the way it stands", (_name, work) => {
    for (const link of ["a", "a/b"]) {
      rmSync(inside(link), { recursive: true });
      symlinkSync(link === "a" ? outside() : outside("b"), inside(link));
      writeFileSync(inside("own"), "own");
      const before = execFileSync("find", [outside(), "-printf", "%p %i %C@\n"]).toString();
      const descriptors = openDescriptors();
      expect(() => work(held)).toThrow(IntegrityError);
      expect(() => work(held)).toThrow(
        `${inside(link)}: expected a directory, got a symbolic link`,
      );
      expect(openDescriptors()).toBe(descriptors);
      expect(execFileSync("find", [outside(), "-printf", "%p %i %C@\n"]).toString()).toBe(before);
      rmSync(inside("a"), { recursive: true });
      mkdirSync(inside("a", "b"), { recursive: true });
    }
  });

  test("a file on the way is an error, and so is what is missing", () => {
    expect(() => held.names("a/b/file")).toThrow("expected a directory, got something else");
    expect(() => held.below("a/none/x")).toThrow(
      expect.objectContaining({
        code: "ENOENT",
        message: expect.stringContaining(inside("a/none")),
      }),
    );
    expect(held.stat("a/none")).toBeUndefined();
    expect(held.stat("a/none/x")).toBeUndefined();
  });

  test("names that lead out are refused", () => {
    for (const name of [
      "..",
      "a/..",
      "a/../../outside",
      "../outside/b",
      "/etc",
      "a//b",
      "./a",
      "a/",
    ]) {
      expect(() => held.names(name)).toThrow(TypeError);
      expect(() => held.stat(name)).toThrow(TypeError);
    }
  });

  test("the directory stays the same when its name is given to another", () => {
    renameSync(inside(), join(folder, "moved"));
    symlinkSync(outside(), inside());
    held.unlink("a/b/file");
    expect(readFileSync(outside("b", "file"), "utf8")).toBe("outside");
    expect(existsSync(join(folder, "moved/a/b/file"))).toBe(false);
  });

  test("does what it is asked for", () => {
    const fd = held.newFile("a/new", 0o640);
    writeSync(fd, "content");
    closeSync(fd);
    expect(statSync(inside("a/new")).mode & 0o7777).toBe(0o640);
    held.makeDirectory("dir", 0o750);
    held.makeDirectory("dir");
    held.makeDirectory("dir/sub");
    expect(statSync(inside("dir/sub")).mode & 0o7777).toBe(0o750);
    held.rename("a/new", "dir/sub/file");
    held.link("dir/sub/file", "dir/other");
    held.symlink("../somewhere", "dir/link");
    expect(held.readLink("dir/link")).toBe("../somewhere");
    expect(readlinkSync(inside("dir/link"))).toBe("../somewhere");
    expect(held.names("dir").toSorted()).toEqual(["link", "other", "sub"]);
    expect(held.names().toSorted()).toEqual(["a", "dir"]);
    expect(held.stat("dir/other")!.nlink).toBe(2);
    expect(held.stat("")!.isDirectory()).toBe(true);
    expect(held.stat("dir/link")!.isSymbolicLink()).toBe(true);
    for (const name of ["", "dir", "dir/other"]) held.sync(name);
    const sub = held.below("dir/sub");
    expect(sub.names()).toEqual(["file"]);
    expect(sub.path).toBe(inside("dir/sub"));
    sub.close();
    held.removeTree("dir/link");
    held.removeTree("dir");
    held.removeTree("dir");
    expect(held.names()).toEqual(["a"]);
  });
});

test("a link in the place of a file is not followed, and a fifo not waited for", () => {
  symlinkSync(outside("b", "file"), inside("link"));
  execFileSync("mkfifo", [inside("fifo")]);
  const { O_RDONLY, O_RDWR, O_WRONLY, O_CREAT, O_APPEND } = constants;
  for (const flags of [O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_CREAT | O_APPEND]) {
    for (const name of ["link", "fifo", "a"]) expect(() => held.open(name, flags, 0o600)).toThrow();
  }
  const fd = held.open("lock", O_RDWR | O_CREAT | O_APPEND, 0o600);
  expect(fstatSync(fd).isFile()).toBe(true);
  closeSync(fd);
});

test("trees of any depth and with any names are removed with a few descriptors, and no link in them followed", () => {
  mkdirSync(inside("tree", ...Array.from({ length: 1500 }, () => "d")), { recursive: true });
  mkdirSync(Buffer.concat([Buffer.from(inside("tree/")), Buffer.from([0xff, 0xfe])]));
  writeFileSync(
    Buffer.concat([Buffer.from(inside("tree/")), Buffer.from([0xff, 0xfe, 0x2f, 0xfd])]),
    "",
  );
  symlinkSync(outside(), inside("tree/link"));
  symlinkSync(outside(), inside("tree/d/link"));
  const descriptors = openDescriptors();
  held.removeTree("tree");
  expect(held.names()).toEqual(["a"]);
  expect(openDescriptors()).toBe(descriptors);
  expect(readFileSync(outside("b", "file"), "utf8")).toBe("outside");
});
