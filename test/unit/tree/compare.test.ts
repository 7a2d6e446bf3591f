import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { compareTrees, formatDifference, treeDifferences } from "../../../src/tree/compare.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { HardLink, Inode } from "../../../src/tree/inode.ts";
import { at, device, directory, file, hardlink, merge, symlink } from "../../support/layers.ts";

const members = [
  directory("a", { mtime: 5 }),
  file("a/f", "content", { xattrs: { "user.k": "v" } }),
  file("a/large", "x".repeat(100)),
  hardlink("b", "a/f"),
  symlink("l", "target"),
  device("n", 1, 3),
];

const tree = () => merge([members]);

test("equal trees have no difference", () => {
  expect(compareTrees(tree(), tree())).toBeUndefined();
  expect(compareTrees(merge([]), merge([]))).toBeUndefined();
});

test.each<[string, (inode: Inode) => void, string]>([
  ["a/f", (f) => (f.mode ^= 0o111), "a/f: mode: left has 0644, right 0755"],
  ["a/f", (f) => (f.uid = 5), "a/f: owner: left has 0:0, right 5:0"],
  ["a/f", (f) => (f.gid = 5), "a/f: owner: left has 0:0, right 0:5"],
  ["a", (d) => (d.mtimeSeconds = 6n), "a: mtime: left has 5.000000000, right 6.000000000"],
  ["a", (d) => (d.mtimeNanoseconds = 1), "a: mtime: left has 5.000000000, right 5.000000001"],
  ["a/f", (f) => (f.size = 8n), "a/f: size: left has 7, right 8"],
  ["a/f", (f) => (f.nlink = 9), "a/f: nlink: left has 2, right 9"],
  ["a/f", (f) => (f.content = Buffer.from("CONTENT")), "a/f: content: left has 7 bytes inline"],
  ["a/f", (f) => (f.content = undefined), "content: left has 7 bytes inline, right none inline"],
  ["a/f", (f) => (f.xattrs = new Map()), 'a/f: xattr user.k: left has "v", right none'],
  [
    "a/f",
    (f) => (f.xattrs = new Map([...f.xattrs, [ascii("user.a"), ascii("")]])),
    'user.a: left has none, right ""',
  ],
  ["a/large", (f) => (f.digest = undefined), "a/large: digest: left has "],
  ["l", (l) => (l.target = ascii("other")), "l: target: left has target, right other"],
  ["n", (n) => (n.rdev = 0x105), "n: device: left has 259, right 261"],
  ["n", (n) => (n.mode = 0o060644), "n: type: left has a character device, right a block device"],
])("a change of %s is found", (path, change, expected) => {
  const right = tree();
  change(at(right, path));
  const difference = compareTrees(tree(), right);
  expect(formatDifference(difference!, "left", "right")).toContain(expected);
});

test("a change of the root is found", () => {
  const right = tree();
  right.uid = 1;
  const difference = compareTrees(tree(), right)!;
  expect(formatDifference(difference, "a", "b")).toBe("/: owner: a has 0:0, b 1:0");
});

test("a missing name is found on either side", () => {
  const right = tree();
  right.entries.delete(ascii("l"));
  expect(compareTrees(tree(), right)).toEqual({
    path: "l",
    what: "entry",
    left: "a symlink",
    right: "nothing",
  });
  expect(compareTrees(right, tree())).toMatchObject({ left: "nothing", right: "a symlink" });
});

test("names that share an inode differ from names that do not", () => {
  const copy = new Inode(0o100644);
  const right = tree();
  Object.assign(copy, at(right, "b"));
  right.entries.set(ascii("b"), copy);
  expect(compareTrees(tree(), right)).toEqual({
    path: "b",
    what: "hard link",
    left: "the inode of a/f",
    right: "the inode of b",
  });
});

test("which name holds the inode makes no difference", () => {
  const right = tree();
  const inode = at(right, "b");
  right.entries.set(ascii("b"), inode);
  at(right, "a").entries!.set(ascii("f"), new HardLink(inode));
  expect(compareTrees(tree(), right)).toBeUndefined();
});

test("the first difference in the order of a walk is found", () => {
  const right = tree();
  at(right, "a/f").uid = 1;
  at(right, "l").uid = 1;
  right.entries.delete(ascii("n"));
  expect(compareTrees(tree(), right)!.path).toBe("a/f");
  right.entries.set(ascii("A"), new Inode(0o100644));
  expect(compareTrees(tree(), right)!.path).toBe("A");
});

test("the order in which names were added does not matter", () => {
  const names = ["a", "b-", "b", "\xff", "Z"];
  fc.assert(
    fc.property(fc.shuffledSubarray(names, { minLength: 5 }), (shuffled) => {
      const left = merge([names.map((name) => file(name, "x"))]);
      expect(compareTrees(left, merge([shuffled.map((name) => file(name, "x"))]))).toBeUndefined();
    }),
  );
});

test("every difference is told, field by field, and what only one side has is told once", () => {
  const dump = (...lines: string[]) => parseDump(Buffer.from(`${lines.join("\n")}\n`));
  const left = dump(
    "/ 4096 40755 4 0 0 0 1.0 - - -",
    "/a 0 100644 1 0 0 0 1.0 - - - user.x=1 user.y=1",
    "/d 0 40755 2 0 0 0 1.0 - - -",
    "/d/f 0 100644 1 0 0 0 1.0 - - -",
    "/z 0 100644 1 0 0 0 1.0 - - -",
  );
  const right = dump(
    "/ 4096 40755 3 0 0 0 2.0 - - -",
    "/a 0 100600 1 7 0 0 1.0 - - - user.x=2",
    "/z 0 40755 2 0 0 0 1.0 - - -",
  );
  const found = [...treeDifferences(left, right)].map(({ path, what }) => `${path} ${what}`);
  expect(found).toEqual([
    " mtime",
    "a mode",
    "a owner",
    "a xattr user.x",
    "a xattr user.y",
    "d entry",
    "z type",
  ]);
  expect(compareTrees(left, right)?.what).toBe("mtime");
});
