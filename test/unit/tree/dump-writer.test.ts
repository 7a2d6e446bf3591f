/** Dump files against `composefs-info dump`. */
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { readTree } from "../../../src/erofs/tree.ts";
import { HardLink, Inode, S_IFREG, newDirectory } from "../../../src/tree/inode.ts";
import type { Directory } from "../../../src/tree/inode.ts";
import { goldenImage, goldenImages } from "../../support/golden-images.ts";
import { dumpOfTree } from "../../support/dump.ts";

// composefs-info 1.0.8 reads a payload two bytes too far when no padding follows it.
const overread = new Map([
  ["digest-upper", "\\x10\\x04"],
  ["ext-payload-odd", "\\xff\\xff"],
]);

test.each(goldenImages().filter(({ dump }) => dump !== null))(
  "prints $name as composefs-info dump does",
  ({ name, bytes, dump }) => {
    const surplus = overread.get(name.split(".")[0]!);
    const expected = surplus === undefined ? dump! : dump!.replaceAll(surplus, "");
    expect(surplus === undefined || expected !== dump).toBe(true);
    const printed = dumpOfTree(readTree(Image.open(bytes)));
    // Compared line by line first: a failure then shows the one line that differs.
    const lines = expected.split("\n");
    expect(printed.split("\n").find((line, i) => line !== lines[i])).toBe(undefined);
    expect(printed === expected).toBe(true);
  },
);

test("prints a tree of 1000 levels, where composefs-info overflows its stack", () => {
  const printed = dumpOfTree(readTree(Image.open(goldenImage("deep-1000.v1").bytes)));
  const paths = printed
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ")[0]!);
  expect(Math.max(...paths.map((path) => path.split("/").length - 1))).toBeGreaterThanOrEqual(1000);
});

describe("a tree made in memory", () => {
  const file = () => new Inode(S_IFREG | 0o644);
  const pathsOf = (root: Directory) =>
    dumpOfTree(root)
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([path, , mode, , , , , , payload]) => `${path} ${mode} ${payload}`);

  test("has its names in bytewise order, whatever order they were added in", () => {
    const root = newDirectory();
    for (const name of ["b", "\xff", "a", "-", "B", "~"]) root.entries.set(ascii(name), file());
    expect(pathsOf(root).map((line) => line.split(" ")[0])).toEqual([
      "/",
      "/-",
      "/B",
      "/a",
      "/b",
      "/~",
      "/\\xff",
    ]);
  });

  test("the first name in walk order stands for an inode, the others refer to it", () => {
    const root = newDirectory();
    const target = file();
    const sub = newDirectory();
    sub.entries.set(ascii("x y"), new HardLink(target));
    root.entries.set(ascii("z"), target);
    root.entries.set(ascii("d"), sub);
    expect(pathsOf(root)).toEqual([
      "/ 40755 -",
      "/d 40755 -",
      "/d/x\\x20y 100644 -",
      "/z @100644 /d/x\\x20y",
    ]);
  });

  test("a directory that leads back to itself is printed once", () => {
    const root = newDirectory();
    root.entries.set(ascii("loop"), new HardLink(root));
    expect(pathsOf(root)).toEqual(["/ 40755 -", "/loop @40755 "]);
  });

  test("fields that are a dash, and bytes that would end a field, are escaped", () => {
    const root = newDirectory();
    const odd = file();
    odd.content = Uint8Array.of(0x2d);
    odd.size = 1n;
    odd.xattrs = new Map([[ascii("user.a=b c"), ascii("=\n\\")]]);
    root.entries.set(ascii("\t\x7f"), odd);
    expect(dumpOfTree(root).split("\n")[1]).toBe(
      "/\\t\\x7f 1 100644 1 0 0 0 0.0 - \\x2d - user.a\\x3db\\x20c=\\x3d\\n\\\\",
    );
  });
});
