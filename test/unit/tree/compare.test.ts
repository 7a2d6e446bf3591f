import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { type Directory, HardLink, Inode } from "../../../src/tree/inode.ts";
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

const differences = (left: Directory, right: Directory) => [...treeDifferences(left, right)];

test("equal trees have no difference", () => {
  expect(differences(tree(), tree())).toEqual([]);
  expect(differences(merge([]), merge([]))).toEqual([]);
});

test.each<[string, (inode: Inode) => void, string]>([
  ["a/f", (f) => (f.mode ^= 0o111), "a/f: mode: 0644, 0755"],
  ["a/f", (f) => (f.uid = 5), "a/f: owner: 0:0, 5:0"],
  ["a/f", (f) => (f.gid = 5), "a/f: owner: 0:0, 0:5"],
  ["a", (d) => (d.mtimeSeconds = 6n), "a: mtime: 5.000000000, 6.000000000"],
  ["a", (d) => (d.mtimeNanoseconds = 1), "a: mtime: 5.000000000, 5.000000001"],
  ["a/f", (f) => (f.size = 8n), "a/f: size: 7, 8"],
  ["a/f", (f) => (f.nlink = 9), "a/f: nlink: 2, 9"],
  ["a/f", (f) => (f.content = Buffer.from("CONTENT")), "a/f: content: 7 bytes inline"],
  ["a/f", (f) => (f.content = undefined), "content: 7 bytes inline, none inline"],
  ["a/f", (f) => (f.xattrs = new Map()), 'a/f: xattr user.k: "v", none'],
  [
    "a/f",
    (f) => (f.xattrs = new Map([...f.xattrs, [ascii("user.a"), ascii("")]])),
    'user.a: none, ""',
  ],
  ["a/large", (f) => (f.digest = undefined), "a/large: digest: "],
  ["l", (l) => (l.target = ascii("other")), "l: target: target, other"],
  ["n", (n) => (n.rdev = 0x105), "n: device: 259, 261"],
  ["n", (n) => (n.mode = 0o060644), "n: type: a character device, a block device"],
])("a change of %s is found", (path, change, expected) => {
  const right = tree();
  change(at(right, path));
  const told = differences(tree(), right).map(
    ({ path: at, what, left, right: other }) => `${at}: ${what}: ${left}, ${other}`,
  );
  expect(told[0]).toContain(expected);
});

test("a change of the root is found", () => {
  const right = tree();
  right.uid = 1;
  expect(differences(tree(), right)).toEqual([
    { path: "", what: "owner", left: "0:0", right: "1:0" },
  ]);
});

test("a missing name is found on either side", () => {
  const right = tree();
  right.entries.delete(ascii("l"));
  expect(differences(tree(), right)).toEqual([
    { path: "l", what: "entry", left: "a symlink", right: "nothing" },
  ]);
  expect(differences(right, tree())).toMatchObject([{ left: "nothing", right: "a symlink" }]);
});

test("names that share an inode differ from names that do not", () => {
  const copy = new Inode(0o100644);
  const right = tree();
  Object.assign(copy, at(right, "b"));
  right.entries.set(ascii("b"), copy);
  expect(differences(tree(), right)[0]).toEqual({
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
  expect(differences(tree(), right)).toEqual([]);
});

test("differences come in the order of a walk", () => {
  const right = tree();
  at(right, "a/f").uid = 1;
  at(right, "l").uid = 1;
  right.entries.delete(ascii("n"));
  expect(differences(tree(), right).map(({ path }) => path)).toEqual(["a/f", "b", "l", "n"]);
  right.entries.set(ascii("A"), new Inode(0o100644));
  expect(differences(tree(), right)[0]!.path).toBe("A");
});

test("the order in which names were added does not matter", () => {
  const names = ["a", "b-", "b", "\xff", "Z"];
  fc.assert(
    fc.property(fc.shuffledSubarray(names, { minLength: 5 }), (shuffled) => {
      const left = merge([names.map((name) => file(name, "x"))]);
      expect(differences(left, merge([shuffled.map((name) => file(name, "x"))]))).toEqual([]);
    }),
  );
});

test("every difference is reported field by field, and what only one side has is reported once", () => {
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
});
