/** The rules of the profile oci-v1, one by one. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError, UsageError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { type MergeOptions, mergeLayers } from "../../../src/tree/merge.ts";
import {
  at,
  device,
  directory,
  empty,
  file,
  hardlink,
  layerOf,
  listing,
  merge,
  symlink,
} from "../../support/layers.ts";
import { V7_MAGIC, base256, header, longName, member, pax } from "../../support/tar.ts";

const slow = process.env["SLOW"] === "1" ? 20 : 1;

/** A lower layer for most tests. */
const base = [
  directory("a"),
  file("a/one"),
  file("a/two"),
  directory("a/sub"),
  file("a/sub/three"),
  directory("b"),
  file("b/four"),
  symlink("lnk", "a"),
];

/** What the upper layer makes of the base. */
const over = (...members: Uint8Array[]) => listing(merge([base, members]));

const plain = over();

function refused(
  layers: readonly (readonly Uint8Array[])[],
  message: string | RegExp,
  code: FormatError["code"] = "MALFORMED",
  options?: MergeOptions,
): void {
  let error: unknown;
  try {
    merge(layers, "oci-v1", options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).message).toMatch(message);
  expect((error as FormatError).code).toBe(code);
}

describe("whiteouts", () => {
  test("a whiteout removes a file of a lower layer", () => {
    expect(over(empty("a/.wh.one"))).toEqual(plain.filter((line) => !line.startsWith("a/one")));
  });

  test("a whiteout removes a directory with all in it", () => {
    const left = plain.filter((line) => !line.startsWith("a/sub"));
    expect(over(empty("a/.wh.sub"))).toEqual(left);
  });

  test("a whiteout removes a symlink, not what it leads to", () => {
    expect(over(empty(".wh.lnk"))).toEqual(plain.filter((line) => !line.startsWith("lnk")));
  });

  // docs/hostile-inputs.md, 106
  test.each(["a/.wh.nothere", "nodir/.wh.x", "a/one/.wh.x", "nodir/.wh..wh..opq"])(
    "a whiteout of nothing is fine: %s",
    (name) => {
      expect(over(empty(name))).toEqual(plain);
    },
  );

  // docs/hostile-inputs.md, 103
  test.each([
    ["before", [empty("a/.wh.one"), file("a/one", "again")]],
    ["after", [file("a/one", "again"), empty("a/.wh.one")]],
  ])("a whiteout %s a file of its own layer leaves the file", (_, members) => {
    expect(over(...members)).toContain("a/one = again");
    expect(over(...members)).toHaveLength(plain.length);
  });

  // docs/hostile-inputs.md, 104
  test.each([
    ["first", [empty("a/.wh..wh..opq"), directory("a"), file("a/new")]],
    ["last", [directory("a"), file("a/new"), empty("a/.wh..wh..opq")]],
    ["without its directory", [file("a/new"), empty("a/.wh..wh..opq")]],
  ])("an opaque marker hides only lower layers: %s", (_, members) => {
    expect(over(...members)).toEqual(["a/", "a/new = a/new", "b/", "b/four = b/four", "lnk -> a"]);
  });

  test("an opaque marker at the root is obeyed", () => {
    expect(over(file("only"), empty(".wh..wh..opq"))).toEqual(["only = only"]);
  });

  test("an opaque marker below a file hides nothing", () => {
    expect(over(empty("a/one/.wh..wh..opq"))).toEqual(plain);
  });

  test("a whiteout below a directory that became a file or link in the same layer is for the lower layer", () => {
    const asFile = over(file("a", "file"), empty("a/.wh.one"));
    expect(asFile).toEqual(["a = file", "b/", "b/four = b/four", "lnk -> a"]);
    const asLink = over(symlink("a", "b"), empty("a/.wh.one"), empty("a/.wh..wh..opq"));
    expect(asLink).toEqual(["a -> b", "b/", "b/four = b/four", "lnk -> a"]);
  });

  test("a link that the layer replaces by an opaque directory is replaced", () => {
    const members = [directory("lnk"), empty("lnk/.wh..wh..opq"), file("lnk/new")];
    const lines = ["lnk/", "lnk/new = lnk/new"];
    expect(over(...members)).toEqual([...plain.slice(0, -1), ...lines]);
  });

  // docs/hostile-inputs.md, 105
  test.each(["lnk/.wh.one", "./lnk//.wh.one", "a/.wh.one"])(
    "a whiteout through a symlink hides what the link leads to: %s",
    (name) => {
      expect(over(empty(name))).toEqual(plain.filter((line) => !line.startsWith("a/one")));
    },
  );

  test("an opaque marker through a symlink hides what is in the link's directory", () => {
    expect(over(empty("lnk/.wh..wh..opq"), file("lnk/new"))).toEqual([
      "a/",
      "a/new = lnk/new",
      "b/",
      "b/four = b/four",
      "lnk -> a",
    ]);
  });

  test.each([
    ["a directory", [directory("lnk")]],
    ["a file", [file("lnk", "file")]],
    ["another link", [symlink("lnk", "b")]],
    ["nothing, by a whiteout", [empty(".wh.lnk")]],
    ["nothing, by an opaque marker", [empty(".wh..wh..opq"), directory("a"), file("a/one")]],
  ])("a whiteout through a link that its layer replaces by %s hides nothing", (_, members) => {
    const expected = over(...members);
    for (const name of ["lnk/.wh.one", "lnk/.wh..wh..opq"]) {
      expect(over(...members, empty(name))).toEqual(expected);
      expect(over(empty(name), ...members)).toEqual(expected);
    }
  });

  test("a link that its layer has again is followed as it is", () => {
    const expected = plain.filter((line) => !line.startsWith("a/one"));
    expect(over(symlink("lnk", "a"), empty("lnk/.wh.one"))).toEqual(expected);
  });

  test("a link is replaced by an entry that comes to it by another one", () => {
    const lower = [...base, directory("c"), symlink("c/in", "../a"), symlink("l2", "c")];
    const plainer = listing(merge([lower]));
    const now = (...members: Uint8Array[]) => listing(merge([lower, members]));
    expect(now(file("l2/in", "f"), empty("c/in/.wh.one"))).toEqual(
      plainer.map((line) => (line.startsWith("c/in") ? "c/in = f" : line)),
    );
    // The second link is in another directory than the entry below the first: l2 is one by then.
    const members = [directory("l2"), file("l2/in", "f"), empty("c/in/.wh.one")];
    expect(now(...members)).toContain("l2/in = f");
    expect(now(...members).filter((line) => line.startsWith("a/one"))).toEqual([]);
  });

  test("whiteouts through links that others of them hide act in whatever order", () => {
    const lower = [...base, symlink("b/up", "../a"), symlink("to-b", "b")];
    const whiteouts = [empty("to-b/.wh.up"), empty("to-b/up/.wh.one"), empty("to-b/up/.wh.two")];
    const expected = listing(merge([lower, whiteouts]));
    expect(expected).not.toContain("a/one = a/one");
    expect(listing(merge([lower, whiteouts.toReversed()]))).toEqual(expected);
  });

  test.each([
    ["what does not exist", "no/such"],
    ["a file", "a/one"],
    ["what is below a file", "a/one/../sub"],
  ])("a whiteout through a link to %s is one of nothing", (_, target) => {
    const lower = [...base, symlink("l", target)];
    expect(listing(merge([lower, [empty("l/.wh.three")]]))).toEqual(listing(merge([lower])));
  });

  test("a whiteout through a link that leads back to itself is refused, unless it is replaced", () => {
    const lower = [symlink("l", "l")];
    const message = 'a symlink at "l" to "l", which leads back to itself (oci-v1: symlinks)';
    refused([lower, [empty("l/.wh.x")]], message);
    expect(listing(merge([lower, [directory("l"), empty("l/.wh..wh..opq")]]))).toEqual(["l/"]);
  });

  // docs/hostile-inputs.md, 102
  test.each([".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh.."])("%s is refused", (name) => {
    refused([base, [empty(name)]], 'expected the name of a file after ".wh." (oci-v1: whiteouts)');
  });

  test.each([
    ["a whiteout with something in it", file("a/.wh.one/x")],
    ["an opaque marker with something in it", file("a/.wh..wh..opq/x")],
  ])("%s is refused", (_, bytes) => {
    refused([base, [bytes]], "expected a file, got a directory");
  });

  test.each([
    ["has content", file("a/.wh.one", "content")],
    ["is a symlink", symlink("a/.wh.one", "two")],
    ["is a hard link to nothing, as AUFS made them", hardlink("a/.wh.one", ".wh..wh.aufs")],
    ["is a device", device("a/.wh.one", 0, 0)],
    ["is a directory", directory("a/.wh.one")],
  ])("a whiteout counts by its name, also when it %s", (_, bytes) => {
    expect(over(bytes)).toEqual(over(empty("a/.wh.one")));
  });

  test("files of AUFS are skipped with everything below them, with a warning", () => {
    const warnings: string[] = [];
    const left = [
      file(".wh..wh.aufs", ""),
      directory(".wh..wh.plnk"),
      file(".wh..wh.plnk/12"),
      file("a/.wh..wh.orph/x/.wh.y"),
      file("a/.wh..wh.one"),
    ];
    const tree = merge([base, left], "oci-v1", { warn: (text) => warnings.push(text) });
    expect(listing(tree)).toEqual(plain);
    expect(warnings).toEqual(["layer 2: skipped 5 leftovers of AUFS"]);
  });

  test.each([file(".wh..wh.aufs", ""), directory("a/.wh..wh.orph"), hardlink("a/.wh..wh.x", "b")])(
    "files of AUFS are refused when strict (%#)",
    (left) => {
      const message = 'begin with ".wh..wh.", got one (oci-v1: leftovers, strict)';
      refused([base, [file("new"), left]], message, "AMBIGUOUS", { strict: true });
      expect(listing(merge([base, [empty(".wh..wh..opq")]], "oci-v1", { strict: true }))).toEqual(
        [],
      );
    },
  );

  describe("hard links to files that AUFS left", () => {
    const plnk = [
      directory(".wh..wh.plnk"),
      file(".wh..wh.plnk/12.3", "linked", { uid: 7, mode: 0o755 }),
    ];

    test("share the inode, which has no other name", () => {
      const tree = merge([
        [
          ...plnk,
          hardlink("x", ".wh..wh.plnk/12.3"),
          directory("d"),
          hardlink("d/y", "/.wh..wh.plnk/12.3"),
        ],
      ]);
      expect(listing(tree)).toEqual(["d/", "d/y = linked", "x => d/y"]);
      expect(at(tree, "x")).toMatchObject({ nlink: 2, uid: 7, mode: 0o100755 });
    });

    test("may be links to what AUFS itself linked to", () => {
      const members = [
        file("f", "x"),
        hardlink(".wh..wh.plnk/1", "f"),
        hardlink(".wh..wh.plnk/2", "nothing"),
        hardlink("g", ".wh..wh.plnk/1"),
      ];
      expect(listing(merge([members]))).toEqual(["f = x", "g => f"]);
    });

    test.each([
      ["another layer", [plnk, [hardlink("x", ".wh..wh.plnk/12.3")]], "got none"],
      ["a later entry", [[hardlink("x", ".wh..wh.plnk/12.3"), ...plnk]], "got a later one"],
      ["its directory", [[...plnk, hardlink("x", ".wh..wh.plnk")]], "got a later one"],
      ["a missing one", [[...plnk, hardlink("x", ".wh..wh.plnk/12")]], "got none"],
      [
        "one that leads to itself",
        [[hardlink(".wh..wh.plnk/1", ".wh..wh.plnk/1"), hardlink("x", ".wh..wh.plnk/1")]],
        "got a later one",
      ],
    ])("are refused for a file of %s", (_, layers, message) => {
      refused(layers, message);
    });
  });

  test("names that only look like whiteouts are ordinary names", () => {
    expect(over(file("b/.whx"), file("a/x.wh.y"), directory("b/.wh"))).toEqual(
      [...plain, "b/.whx = b/.whx", "a/x.wh.y = a/x.wh.y", "b/.wh/"].sort(),
    );
  });

  test("whiteouts act on all lower layers", () => {
    const tree = merge([base, [file("a/late")], [empty("a/.wh.late"), empty("a/.wh.one")]]);
    expect(listing(tree)).toEqual(plain.filter((line) => !line.startsWith("a/one")));
  });

  test("the order of whiteouts within a layer does not matter", () => {
    const entries = [
      directory("a"),
      file("a/one", "new"),
      file("a/sub/four"),
      directory("c"),
      file("c/x"),
      file("lnk", "now a file"),
    ];
    const whiteouts = [
      empty("a/.wh..wh..opq"),
      empty("a/.wh.one"),
      empty(".wh.b"),
      empty("b/.wh.four"),
      empty("c/.wh.x"),
      empty("a/sub/.wh.three"),
      empty(".wh.lnk"),
    ];
    fc.assert(
      fc.property(
        fc.subarray(whiteouts),
        fc.array(fc.nat(100), { minLength: 20, maxLength: 20 }),
        (some, places) => {
          const expected = merge([base, [...some, ...entries]]);
          // The entries keep their order; the whiteouts get places anywhere between them.
          const mixed = [...entries];
          for (const [i, whiteout] of some.entries()) {
            mixed.splice(places[i]! % (mixed.length + 1), 0, whiteout);
          }
          const tree = merge([base, mixed]);
          expect(listing(tree)).toEqual(listing(expected));
          expect([...treeDifferences(tree, expected)]).toEqual([]);
        },
      ),
      { numRuns: 100 * slow },
    );
  });
});

describe("paths", () => {
  test.each([
    ["/x", "x"],
    ["./x", "x"],
    ["././x", "x"],
    ["//x", "x"],
    ["b//x", "b/x"],
    ["b/./x", "b/x"],
    [".//b/.//x", "b/x"],
  ])("%j is %s", (name, path) => {
    expect(over(file(name, "new"))).toEqual([...plain, `${path} = new`].sort());
  });

  test("a slash at the end is for directories", () => {
    expect(over(directory("c/"), directory("d//"), directory("e/."))).toEqual(
      [...plain, "c/", "d/", "e/"].sort(),
    );
    const message = 'entry "x/" at 0: expected no "/" at the end for a file, got one';
    refused([base, [file("x/", "")]], message, "AMBIGUOUS");
    refused([base, [file("x/.", "")]], "expected no", "AMBIGUOUS");
    refused([base, [symlink("x/.", "t")]], "for a symlink", "AMBIGUOUS");
    refused([base, [hardlink("x/./", "a/one")]], "for a hardlink", "AMBIGUOUS");
    // Of these all tools leave it away.
    expect(over(symlink("c/", "t"), hardlink("d//", "a/one"), device("e/", 1, 3))).toEqual(
      expect.arrayContaining(["c -> t", "d => a/one", "e 20000"]),
    );
  });

  test("a name with a slash at the end of an old header is a directory", () => {
    expect(over(header({ name: "c/", type: "\0", magic: V7_MAGIC }))).toContain("c/");
  });

  // docs/hostile-inputs.md, 77
  test.each(["..", "../x", "a/../x", "a/..", "/../x", "./.."])("%s is refused", (name) => {
    refused([base, [file(name)]], `path: expected no "..", got "${name}" (oci-v1: paths)`);
    refused([base, [directory(name)]], 'expected no ".."');
  });

  test("names that begin with .. are ordinary names", () => {
    expect(over(file("...", "x"), file("..a", "x"))).toEqual(
      [...plain, "... = x", "..a = x"].sort(),
    );
  });

  test.each([".", "./", "/", "./."])("a file named %j is refused", (name) => {
    refused([base, [file(name, "")]], "expected a directory as root, got a file");
  });

  test("a name has 255 bytes, a path 4096", () => {
    const name = "n".repeat(255);
    expect(over(longName(name), file("x", "new"))).toContain(`${name} = new`);
    refused([[longName(`${name}n`), file("x")]], "at most 255 bytes, got 256", "LIMIT");
    const path = (length: number) => "d/".repeat(length / 2 - 1) + "f".repeat((length % 2) + 2);
    expect(path(4096)).toHaveLength(4096);
    expect(listing(merge([[longName(path(4096)), file("x")]]))).toHaveLength(2048);
    refused([[longName(path(4097)), file("x")]], "at most 4096 bytes, got 4097", "LIMIT");
  });

  test("names are bytes, never confused", () => {
    const names = [
      "\xff\xfe",
      "e\xcc\x81",
      "\xc3\xa9",
      "A",
      "C:x",
      "a\\b",
      "__proto__",
      "new\nline",
    ];
    const tree = merge([names.map((name) => file(name, "x"))]);
    expect([...tree.entries.keys()].sort()).toEqual(names.sort());
  });
});

// docs/hostile-inputs.md, 81
describe("repeated paths in one layer", () => {
  test("a directory over a directory replaces its metadata and keeps its content", () => {
    const tree = merge([
      [directory("d", { mode: 0o700 }), file("d/f"), directory("d", { uid: 5 })],
    ]);
    expect(listing(tree)).toEqual(["d/", "d/f = d/f"]);
    expect(at(tree, "d")).toMatchObject({ mode: 0o040755, uid: 5 });
  });

  test.each([
    ["a file", file("x", "new"), ["x = new"]],
    ["a directory", directory("x"), ["x/"]],
    ["a symlink", symlink("x", "t"), ["x -> t"]],
  ])("%s replaces what was there", (_, later, expected) => {
    expect(listing(merge([[file("x", "old"), later]]))).toEqual(expected);
    expect(listing(merge([[symlink("x", "old"), later]]))).toEqual(expected);
    expect(listing(merge([[device("x", 1, 3), later]]))).toEqual(expected);
  });

  test("a file over a directory removes what was in it", () => {
    const members = [directory("x"), file("x/y"), file("x", "file now")];
    expect(listing(merge([members]))).toEqual(["x = file now"]);
  });

  test("they are counted in a warning for each layer", () => {
    const warnings: string[] = [];
    const twice = [file("x", "1"), file("x", "2"), directory("d"), directory("./d/")];
    merge([twice, [file("x")], twice], "oci-v1", { warn: (text) => warnings.push(text) });
    expect(warnings).toEqual([
      'layer 1: entry "x" at 1024: a path that the layer has already (2 such in all)',
      'layer 3: entry "x" at 1024: a path that the layer has already (2 such in all)',
    ]);
  });

  test("they are refused when strict, with both places", () => {
    const members = [file("x", "1"), file("./x", "2")];
    const message = 'entry "./x" at 1024: expected each path once in a layer, got it at 0 too';
    refused([members], message, "AMBIGUOUS", { strict: true });
    const layers = [[file("x")], [file("x")]];
    expect(listing(merge(layers, "oci-v1", { strict: true }))).toEqual(["x = x"]);
  });

  test("a directory made for a missing parent is not a repeated path", () => {
    const warnings: string[] = [];
    const members = [file("p/f"), directory("p", { mode: 0o700, mtime: 9 })];
    const tree = merge([members], "oci-v1", { strict: true, warn: (text) => warnings.push(text) });
    expect(at(tree, "p")).toMatchObject({ mode: 0o040700, mtimeSeconds: 9n });
    expect(warnings).toEqual([]);
  });
});

describe("layers over one another", () => {
  test("a directory over a directory replaces its metadata and keeps its content", () => {
    const xattrs = { "user.new": "n" };
    const tree = merge([
      [directory("a", { mode: 0o700, xattrs: { "user.old": "o" } }), file("a/f")],
      [directory("a", { mode: 0o711, uid: 5, gid: 6, mtime: 1_600_000_000, xattrs })],
    ]);
    expect(listing(tree)).toEqual(["a/", "a/f = a/f"]);
    expect(at(tree, "a")).toMatchObject({
      mode: 0o040711,
      uid: 5,
      gid: 6,
      mtimeSeconds: 1_600_000_000n,
    });
    expect([...at(tree, "a").xattrs]).toEqual([["user.new", "n"]]);
  });

  test("a file over a directory, and a directory over a file", () => {
    expect(over(file("a", "file"))).toEqual(["a = file", "b/", "b/four = b/four", "lnk -> a"]);
    expect(over(directory("a/one"), file("a/one/x"))).toEqual(
      plain.flatMap((l) => (l.startsWith("a/one") ? ["a/one/", "a/one/x = a/one/x"] : [l])),
    );
  });

  test("a directory over a symlink", () => {
    expect(over(directory("lnk"), file("lnk/x"))).toEqual([
      ...plain.slice(0, -1),
      "lnk/",
      "lnk/x = lnk/x",
    ]);
  });
});

describe("parents", () => {
  test("missing parents are made: 0755, 0:0, at the epoch", () => {
    const tree = merge([[file("p/q/f", "x", { uid: 5, mtime: 7 })]]);
    expect(listing(tree)).toEqual(["p/", "p/q/", "p/q/f = x"]);
    for (const path of ["p", "p/q"]) {
      expect(at(tree, path)).toMatchObject({
        mode: 0o040755,
        uid: 0,
        gid: 0,
        mtimeSeconds: 0n,
        mtimeNanoseconds: 0,
      });
    }
  });

  test("a file as parent is refused", () => {
    const message =
      'entry "a/one/x" at 0: expected a directory at "a/one", got another kind of file';
    refused([base, [file("a/one/x")]], message);
    refused([[device("d", 1, 3), file("d/x")]], "another kind of file");
  });

  test("what a symlink on the way leads to is told from what is a file", () => {
    const lower = [...base, symlink("l", "a/one")];
    const message = 'expected a directory at "a/one", got another kind of file (oci-v1: parents)';
    refused([lower, [file("l/x")]], message);
    refused([lower, [symlink("m", "a/one/../sub"), file("m/x")]], message);
  });
});

// docs/hostile-inputs.md, 79
describe("symlinks on the way", () => {
  /** What the upper layer adds to a base with the symlink `l`. */
  const through = (target: string, ...members: Uint8Array[]) => {
    const lower = [...base, symlink("l", target), symlink("b/l", target)];
    const before = listing(merge([lower]));
    return listing(merge([lower, members])).filter((line) => !before.includes(line));
  };

  test.each([
    ["a", "a/x"],
    ["./a/", "a/x"],
    ["a/sub", "a/sub/x"],
    ["/a/sub", "a/sub/x"],
    ["a/../b", "b/x"],
    ["../../../a", "a/x"],
    ["/../a/./sub/../../b", "b/x"],
    ["lnk", "a/x"],
    ["/lnk/sub", "a/sub/x"],
    [".", "x"],
    ["/", "x"],
  ])("one to %s is followed inside the root", (target, path) => {
    expect(through(target, file("l/x", "new"))).toEqual([`${path} = new`]);
  });

  test("a target is looked up from the directory of its link", () => {
    expect(through("../a", file("b/l/x", "new"))).toEqual(["a/x = new"]);
    expect(through("/a", file("b/l/x", "new"))).toEqual(["a/x = new"]);
    expect(through("sub", directory("b/sub"), file("b/l/x", "new"))).toEqual([
      "b/sub/",
      "b/sub/x = new",
    ]);
  });

  test("directories that are missing behind one are made", () => {
    expect(through("new/dir", file("l/more/x", "new"))).toEqual([
      "new/",
      "new/dir/",
      "new/dir/more/",
      "new/dir/more/x = new",
    ]);
    expect(through("no/../a/./no/..", file("l/x", "new"))).toEqual(["a/x = new"]);
  });

  test("directories, links, devices and hard links come through too, and replace what is there", () => {
    const members = [
      directory("lnk/sub", { mode: 0o700 }),
      symlink("lnk/s", "t"),
      device("lnk/d", 1, 3),
      hardlink("lnk/one", "b/four"),
      file("lnk/two", "new"),
    ];
    const tree = merge([base, members]);
    expect(listing(tree)).toEqual([
      "a/",
      "a/d 20000",
      "a/one = b/four",
      "a/s -> t",
      "a/sub/",
      "a/sub/three = a/sub/three",
      "a/two = new",
      "b/",
      "b/four => a/one",
      "lnk -> a",
    ]);
    expect(at(tree, "a/sub").mode).toBe(0o040700);
  });

  test("the last name of a path is not followed", () => {
    expect(over(file("lnk", "new"))).toContain("lnk = new");
    expect(over(directory("lnk"))).toContain("lnk/");
  });

  test("a link of the layer itself counts from its place in the archive on", () => {
    const members = [file("n/x", "before"), symlink("n", "b"), file("n/y", "after")];
    expect(over(...members)).toEqual(
      [...plain, "b/y = after", "n -> b"].sort((a, b) => (a < b ? -1 : 1)),
    );
  });

  test("usr-merge: later layers add to /lib what belongs to /usr/lib", () => {
    const usrmerge = [directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib")];
    const lines = listing(
      merge([
        usrmerge,
        [file("lib/a.so"), file("lib/x86_64/b.so"), hardlink("usr/lib/c.so", "lib/a.so")],
        [empty("lib/.wh.a.so"), empty("lib/x86_64/.wh..wh..opq"), file("/lib/x86_64/d.so", "d")],
      ]),
    );
    expect(lines).toEqual([
      "lib -> usr/lib",
      "usr/",
      "usr/lib/",
      "usr/lib/c.so = lib/a.so",
      "usr/lib/x86_64/",
      "usr/lib/x86_64/d.so = d",
    ]);
  });

  test.each([
    ["itself", [symlink("l", "l")], "l/x"],
    ["what is below itself", [symlink("l", "l/y")], "l/x"],
    ["what comes back", [symlink("l", "m"), symlink("m", "./l")], "l/x"],
    ["the directory that it is in", [symlink("a/l", "../a/l/..")], "a/l/x"],
  ])("one that leads to %s is refused as a circle", (_, links, path) => {
    refused(
      [base, links, [file(path)]],
      /symlink at .*, which leads back to itself \(oci-v1: symlinks\)/,
    );
    refused([base, links, [hardlink("h", path)]], "leads back to itself");
  });

  test("one that is passed twice on the way is no circle", () => {
    const members = [directory("a"), symlink("a/up", ".."), file("a/up/a/up/x", "new")];
    expect(listing(merge([members]))).toEqual(["a/", "a/up -> ..", "x = new"]);
    // The same inode at two places is two links.
    const twice = [directory("a/n/n"), symlink("a/l", "n/l"), hardlink("a/n/l", "a/l")];
    const lines = listing(merge([[...twice, directory("a/n/n/l"), file("a/l/x", "new")]]));
    expect(lines).toContain("a/n/n/l/x = new");
  });

  test("as many as Linux follows are followed", () => {
    const links = Array.from({ length: limits.symlinks + 1 }, (_, number) =>
      symlink(`l${number}`, number === 0 ? "a" : `l${number - 1}`),
    );
    const last = limits.symlinks - 1;
    expect(listing(merge([base, links, [file(`l${last}/x`, "new")]]))).toContain("a/x = new");
    const message = `expected at most ${limits.symlinks} symlinks on the way, got more with a symlink at "l0" to "a"`;
    refused([base, links, [file(`l${last + 1}/x`)]], message, "LIMIT");
  });

  test("path and targets have 4096 bytes together", () => {
    // "l" and a slash, and the target.
    const link = (length: number) => [
      longName("/a".padStart(length, "/."), "K"),
      symlink("l", "x"),
    ];
    const fits = limits.pathBytes - "l/".length;
    expect(listing(merge([base, link(fits), [file("l/x", "new")]]))).toContain("a/x = new");
    const message = "expected at most 4096 bytes of path and targets, got more";
    refused([base, link(fits + 1), [file("l/x")]], message, "LIMIT");
  });

  test.each([".wh.x", "a/.wh..wh..opq", ".wh..wh.plnk", "n".repeat(256)])(
    "no directory of a name that no entry can have is made for one: %s",
    (target) => {
      const layers = [[longName(target, "K"), symlink("l", "x")], [file("l/x")]];
      refused(layers, "expected a symlink to the name of a file");
    },
  );

  test("they are counted in a warning for each layer", () => {
    const warnings: string[] = [];
    const links = [...base, symlink("l2", "lnk")];
    const members = [file("b/x"), file("l2/x"), file("lnk/y"), hardlink("z", "l2/x")];
    merge([links, members, [empty("lnk/.wh.one")]], "oci-v1", {
      warn: (text) => warnings.push(text),
    });
    expect(warnings).toEqual([
      'layer 2: entry "l2/x" at 1024: goes through a symlink at "l2" to "lnk", which is followed (3 such in all)',
      'layer 3: entry "lnk/.wh.one" at 0: goes through a symlink at "lnk" to "a", which is followed (1 such in all)',
    ]);
  });

  test.each([
    [
      "an entry",
      file("lnk/x"),
      'path: expected only directories on the way, got a symlink at "lnk" to "a"',
    ],
    ["a whiteout", empty("lnk/.wh.one"), "path: expected only directories"],
    ["an opaque marker", empty("lnk/.wh..wh..opq"), "path: expected only directories"],
    ["a link's target", hardlink("x", "lnk/one"), "link target: expected only directories"],
  ])("they are refused when strict, on the way to %s", (_, member, message) => {
    refused([base, [member]], message, "AMBIGUOUS", { strict: true });
    refused([base, [member]], "(oci-v1: symlinks, strict)", "AMBIGUOUS", { strict: true });
  });

  test("a layer that passes when strict gives the same tree as when not", () => {
    const layers = [base, [directory("lnk"), file("lnk/x"), empty("lnk/.wh..wh..opq")]];
    const strict = merge(layers, "oci-v1", { strict: true });
    expect([...treeDifferences(strict, merge(layers))]).toEqual([]);
  });
});

describe("hard links", () => {
  test("the first name in the order of a walk has the inode, and nlink counts names", () => {
    const tree = merge([
      [directory("d"), file("z", "x"), hardlink("d/b", "z"), hardlink("a", "d/b")],
    ]);
    expect(listing(tree)).toEqual(["a = x", "d/", "d/b => a", "z => a"]);
    expect(at(tree, "z").nlink).toBe(3);
    expect(at(tree, "d").nlink).toBe(2);
    expect(tree.nlink).toBe(3);
  });

  test("bytes order names, and directories come before later names", () => {
    const members = [
      directory("b"),
      file("b/x", "1"),
      hardlink("b-", "b/x"),
      hardlink("\xff", "b-"),
    ];
    expect(listing(merge([members]))).toEqual(["b/", "b/x = 1", "b- => b/x", "\xff => b/x"]);
  });

  test("a link has its target's metadata", () => {
    const link = header({ name: "l", type: "1", linkName: "f", mode: 0o777, uid: 9, mtime: 9 });
    const tree = merge([[file("f", "x", { mode: 0o600, uid: 3, mtime: 3 }), link]]);
    expect(at(tree, "l")).toMatchObject({ mode: 0o100600, uid: 3, mtimeSeconds: 3n, nlink: 2 });
  });

  test("a link leads into lower layers, with a leading slash or without", () => {
    const tree = merge([base, [hardlink("b/hard", "a/one"), hardlink("other", "/./a//one")]]);
    expect(listing(tree)).toContain("b/hard => a/one");
    expect(at(tree, "other").nlink).toBe(3);
  });

  test("a link leads through symlinks on the way to its target", () => {
    const tree = merge([base, [hardlink("b/hard", "lnk/one"), hardlink("c", "/lnk/./sub/three")]]);
    expect(listing(tree)).toContain("b/hard => a/one");
    expect(listing(tree)).toContain("c => a/sub/three");
  });

  test("a link to a symlink is a second name of the symlink", () => {
    const tree = merge([base, [hardlink("again", "lnk")]]);
    expect(listing(tree)).toContain("again -> a");
    expect(listing(tree)).toContain("lnk => again");
  });

  test("links to devices and fifos are links too", () => {
    const members = [device("d", 1, 3), hardlink("e", "d"), header({ name: "p", type: "6" })];
    expect(listing(merge([[...members, hardlink("q", "p")]]))).toEqual([
      "d 20000",
      "e => d",
      "p 10000",
      "q => p",
    ]);
  });

  test("removing or replacing one name leaves the others", () => {
    const lower = [file("f", "x"), hardlink("g", "f"), hardlink("h", "f")];
    const tree = merge([lower, [empty(".wh.f"), file("g", "other")]]);
    expect(listing(tree)).toEqual(["g = other", "h = x"]);
    expect(at(tree, "h").nlink).toBe(1);
    const replaced = merge([[file("f", "old"), hardlink("g", "f"), file("f", "new")]]);
    expect(listing(replaced)).toEqual(["f = new", "g = old"]);
  });

  test("a link over a directory replaces it", () => {
    expect(over(hardlink("a", "b/four"))).toEqual(["a = b/four", "b/", "b/four => a", "lnk -> a"]);
  });

  // docs/hostile-inputs.md, 78
  test.each([
    ["missing", hardlink("x", "no/such"), 'target "no/such": expected an earlier entry, got none'],
    ["below a file", hardlink("x", "a/one/y"), "got none"],
    ["through a symlink to itself", hardlink("lnk/one", "a/one"), "got the link itself"],
    [
      "in a directory that it replaces",
      hardlink("a", "a/sub/three"),
      'target "a/sub/three": expected a file elsewhere, got one behind what the link replaces',
    ],
    ["through a symlink that it replaces", hardlink("lnk", "lnk/one"), "what the link replaces"],
    ["in such a directory, through a symlink", hardlink("a", "lnk/one"), "what the link replaces"],
    ["itself", hardlink("x", "./x"), "expected another file as target, got the link itself"],
    ["a directory", hardlink("x", "a"), 'target "a": expected a file, got a directory'],
    ["the root", hardlink("x", "/"), "expected a file, got a directory"],
    ["a file with a slash", hardlink("x", "a/one/"), "expected a file, got a directory"],
    ["outside", hardlink("x", "../x"), 'link target: expected no "..", got "../x"'],
    ["outside and back", hardlink("x", "a/../a/one"), 'expected no ".."'],
  ])("a link to %s is refused", (_, link, message) => {
    refused([base, [link]], message);
  });

  test("a link to a later entry is refused, saying so", () => {
    refused(
      [[hardlink("x", "y"), file("y")]],
      'target "y": expected an earlier entry, got a later one',
    );
  });

  test.each([empty("a/.wh.one"), empty("a/.wh..wh..opq"), empty(".wh.a")])(
    "a link to what the layer hides is refused, wherever the whiteout stands",
    (whiteout) => {
      const message = "one that a whiteout of the same layer hides";
      refused([base, [hardlink("x", "a/one"), whiteout]], message);
      refused([base, [whiteout, hardlink("x", "a/one")]], message);
    },
  );
});

describe("types and metadata", () => {
  // docs/hostile-inputs.md, 89
  test("devices and fifos are kept, a device 0:0 like any other", () => {
    const members = [device("null", 1, 3), device("zero", 0, 0), header({ name: "p", type: "6" })];
    const block = header({ name: "b", type: "4", deviceMajor: 259, deviceMinor: 300 });
    const tree = merge([[...members, block]]);
    expect(at(tree, "null")).toMatchObject({ mode: 0o020644, rdev: 0x103 });
    expect(at(tree, "zero")).toMatchObject({ mode: 0o020644, rdev: 0 });
    expect(at(tree, "b")).toMatchObject({ mode: 0o060644, rdev: 0x11032c });
    expect(at(tree, "p")).toMatchObject({ mode: 0o010644, rdev: 0 });
  });

  test("modes keep set-id and sticky bits; owners have 32 bits", () => {
    const fields = { uid: base256(0xffff_fffen, 8), gid: base256(3_000_000n, 8) };
    const tree = merge([[file("f", "x", { ...fields, mode: 0o7123 }), symlink("l", "t")]]);
    expect(at(tree, "f")).toMatchObject({ mode: 0o107123, uid: 0xffff_fffe, gid: 3_000_000 });
    expect(at(tree, "l")).toMatchObject({ mode: 0o120777, target: "t", size: 0n });
  });

  test("a symlink has the permissions that Linux gives it", () => {
    const link = header({ name: "l", type: "2", linkName: "t", mode: 0o640 });
    expect(at(merge([[link]]), "l").mode).toBe(0o120777);
    const target = header({ name: ".wh..wh.plnk/1", type: "2", linkName: "t", mode: 0o640 });
    expect(at(merge([[target, hardlink("l", ".wh..wh.plnk/1")]]), "l").mode).toBe(0o120777);
  });

  test("times keep nanoseconds and may be negative", () => {
    const tree = merge([[pax({ mtime: "-1.5", atime: "5" }), file("f")]]);
    expect(at(tree, "f")).toMatchObject({ mtimeSeconds: -2n, mtimeNanoseconds: 500_000_000 });
  });

  // docs/hostile-inputs.md, 87
  test("all xattrs of the SCHILY form stay, as bytes", () => {
    const records = {
      "SCHILY.xattr.user.empty": "",
      "SCHILY.xattr.user.bin": "\0\xff\n",
      "SCHILY.xattr.trusted.overlay.redirect": "/a",
      "SCHILY.xattr.user.overlay.opaque": "y",
      "SCHILY.xattr.security.selinux": "label",
      "LIBARCHIVE.xattr.user.b": "Yg==",
    };
    const tree = merge([[pax(records), file("f")]]);
    expect([...at(tree, "f").xattrs]).toEqual([
      ["user.empty", ""],
      ["user.bin", "\0\xff\n"],
      ["trusted.overlay.redirect", "/a"],
      ["user.overlay.opaque", "y"],
      ["security.selinux", "label"],
    ]);
  });

  test("files of up to 64 bytes are inline, larger ones objects, empty ones neither", () => {
    const tree = merge([[file("e", ""), file("s", "x".repeat(64)), file("l", "x".repeat(65))]]);
    expect(at(tree, "e")).toMatchObject({ size: 0n, content: undefined, digest: undefined });
    expect(at(tree, "s")).toMatchObject({ size: 64n, digest: undefined, payload: undefined });
    expect(at(tree, "s").content).toHaveLength(64);
    const { size, content, digest, payload } = at(tree, "l");
    expect({ size, content }).toEqual({ size: 65n, content: undefined });
    expect(payload).toBe(`${digest!.slice(0, 2)}/${digest!.slice(2)}`);
  });

  test("a sparse file is its expanded content", () => {
    const records = {
      "GNU.sparse.size": "64",
      "GNU.sparse.numblocks": "1",
      "GNU.sparse.map": "62,2",
      "GNU.sparse.name": "f",
    };
    const tree = merge([[pax(records), member({ name: "GNUSparseFile.0/f" }, "ab")]]);
    expect(listing(tree)).toEqual([`f = ${"\0".repeat(62)}ab`]);
  });

  // docs/hostile-inputs.md, 80
  test("a symlink has 4095 bytes of target, kept as they are", () => {
    const link = (target: string) => [longName(target, "K"), symlink("l", "x")];
    const target = "/../".padEnd(4095, "\xff");
    expect(at(merge([link(target)]), "l").target).toBe(target);
    refused([link(`${target}x`)], "target: expected at most 4095 bytes, got 4096", "LIMIT");
  });
});

describe("the root", () => {
  test("without an entry it is 0755, 0:0, at the epoch", () => {
    expect(merge([base])).toMatchObject({ mode: 0o040755, uid: 0, gid: 0, mtimeSeconds: 0n });
    expect(merge([])).toMatchObject({ mode: 0o040755, nlink: 2 });
  });

  test.each([".", "./", "/", ".//."])("the entry %j is the root's", (name) => {
    const root = directory(name, { mode: 0o711, uid: 9, mtime: 5, xattrs: { "user.r": "r" } });
    const tree = merge([base, [root], [file("x")]]);
    expect(tree).toMatchObject({ mode: 0o040711, uid: 9, mtimeSeconds: 5n });
    expect([...tree.xattrs]).toEqual([["user.r", "r"]]);
    expect(listing(tree)).toEqual([...plain, "x = x"]);
  });

  test("/run and /proc are directories like any other, and /usr is not needed", () => {
    expect(listing(merge([[file("run/x"), file("proc/y")]]))).toHaveLength(4);
  });
});

describe("the call", () => {
  test("an error names layer, entry, place and rule", () => {
    refused(
      [base, [file("ok"), hardlink("bad\n", "no")]],
      'layer 2: entry "bad\\x0a" at 1024: target "no": expected an earlier entry, got none (oci-v1: hard links)',
    );
  });

  test("xattr modes belong to the other profile", () => {
    expect(() => merge([base], "oci-v1", { xattrs: "composefs" })).toThrow(UsageError);
  });

  test("layers may come from a generator", () => {
    function* layers() {
      yield layerOf(1, [file("x", "old")]);
      yield layerOf(2, [file("x", "new")]);
    }
    expect(listing(mergeLayers(layers(), "oci-v1"))).toEqual(["x = new"]);
  });

  test.skipIf(slow === 1)("as many entries as the limit are merged, not one more (SLOW=1)", () => {
    const [entry] = layerOf(1, [file("x", "")]).entries;
    const layer = (length: number) => ({ label: "layer", entries: Array(length).fill(entry) });
    const half = layer(limits.inodes / 2);
    expect(listing(mergeLayers([half, half], "oci-v1"))).toHaveLength(1);
    expect(() => mergeLayers([half, half, layer(1)], "oci-v1")).toThrow(
      expect.objectContaining({ code: "LIMIT" }),
    );
  });

  test("content that the builder forgot is a programming error", () => {
    const [first] = layerOf(1, [file("x")]).entries;
    const layer = { label: "layer 1", entries: [{ entry: first!.entry }] };
    expect(() => mergeLayers([layer], "oci-v1")).toThrow(TypeError);
  });
});
