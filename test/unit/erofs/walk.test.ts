/** Finding files by path, and walking over all of them. */
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { ImageView } from "../../../src/erofs/view.ts";
import { childrenOf, findFile, walkFiles } from "../../../src/erofs/walk.ts";
import { NotFoundError } from "../../../src/errors.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { imageOf } from "../../support/small-image.ts";

const view = new ImageView(
  Image.open(
    imageOf(
      "/ 0 40755 3 0 0 0 1.0 - - -",
      "/a 0 40755 3 0 0 0 1.0 - - -",
      "/a/b 0 40755 2 0 0 0 1.0 - - -",
      "/a/b/file 1 100644 1 0 0 0 1.0 - x -",
      "/a/up 0 120777 1 0 0 0 1.0 ../../../a/b - -",
      "/abs 0 120777 1 0 0 0 1.0 /a/b/file - -",
      "/chain 0 120777 1 0 0 0 1.0 abs - -",
      "/dangling 0 120777 1 0 0 0 1.0 nowhere - -",
      "/loop 0 120777 1 0 0 0 1.0 loop - -",
      "/z 1 100644 1 0 0 0 1.0 - z -",
    ),
  ),
);
const find = (path: string, follow?: boolean) => findFile(view, ascii(path), follow).path;

describe("a path", () => {
  test("leads to a file, through directories, dots and symlinks on the way", () => {
    expect(find("/a/b/file")).toBe("/a/b/file");
    expect(find("a//./b/../b/file")).toBe("/a/b/file");
    expect(find("/a/up/file")).toBe("/a/b/file");
    expect(find("/")).toBe("");
    expect(find("../..")).toBe("");
  });

  test("ends at a symlink, or behind it when that is asked for", () => {
    expect(find("/chain")).toBe("/chain");
    expect(find("/chain", true)).toBe("/a/b/file");
    expect(find("/a/up", true)).toBe("/a/b");
    expect(find("/dangling")).toBe("/dangling");
  });

  test.each(["/nothing", "/a/b/file/x", "/00", "/a/b/filex", "/loop/x"])(
    "%s leads nowhere",
    (path) => {
      expect(() => find(path)).toThrow(NotFoundError);
    },
  );

  test("symlinks without end, or without target, lead nowhere", () => {
    expect(() => find("/loop", true)).toThrow(/too many symbolic links/);
    expect(() => find("/dangling", true)).toThrow(NotFoundError);
  });
});

test("a walk meets every file once, directories before what they hold", () => {
  expect([...walkFiles(view)].map(({ path }) => path)).toEqual([
    "/a",
    "/a/b",
    "/a/b/file",
    "/a/up",
    "/abs",
    "/chain",
    "/dangling",
    "/loop",
    "/z",
  ]);
  const start = findFile(view, ascii("/a/b"));
  expect([...walkFiles(view, start)].map(({ path }) => path)).toEqual(["/a/b/file"]);
  expect([...childrenOf(view, findFile(view, ascii("/a")))].map(({ path }) => path)).toEqual([
    "/a/b",
    "/a/up",
  ]);
});

test("a walk ends where a directory leads back to itself, and goes a thousand levels down", () => {
  const walk = (name: string) => [...walkFiles(new ImageView(Image.open(goldenImage(name).bytes)))];
  expect(walk("hardlink-to-root.v1").map(({ path }) => path)).toEqual(["/l"]);
  expect(walk("deep-1000.v1").length).toBeGreaterThanOrEqual(1000);
});
