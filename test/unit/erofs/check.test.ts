/**
 * The strict check: every hostile image is refused by the rule that it breaks.
 *
 * Spec: docs/hostile-inputs.md, "A. Images".
 */
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { crc32c } from "../../../src/bytes/crc32c.ts";
import { xxh32 } from "../../../src/bytes/xxh32.ts";
import { checkImage, imageRules, verifyImage } from "../../../src/erofs/check.ts";
import type { ImageRule } from "../../../src/erofs/check.ts";
import { XATTR_FILTER_SEED } from "../../../src/erofs/format.ts";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { goldenImages } from "../../support/golden-images.ts";
import { direntAt, imageOf, inodeAt, le, patched } from "../../support/small-image.ts";

const digest = "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111";
const other = "84ea6f6e20fe9a5cc90d0c9f5ba128ad91544bda6071caf9c79ce48018b6ea13";
const object = (hex: string) => `${hex.slice(0, 2)}/${hex.slice(2)} - ${hex}`;

// One of everything; /old makes all other inodes extended.
const base = imageOf(
  "/ 0 40755 4 0 0 0 100.0 - - - user.shared=same",
  "/dir 0 40755 3 0 0 0 100.0 - - - user.shared=same user.own=value",
  "/dir/big 3000 100644 1 0 0 0 100.0 - " + "b".repeat(3000) + " -",
  "/dir/deep 0 40755 2 0 0 0 100.0 - - -",
  "/dir/deep/leaf 5 100644 1 0 0 0 100.0 - hello -",
  "/empty 0 40755 2 0 0 0 100.0 - - -",
  `/ext 100 100644 1 0 0 0 100.0 ${object(digest)} user.first=1 user.other=2`,
  "/fifo 0 10644 1 0 0 0 100.0 - - -",
  "/link 6 120777 1 0 0 0 100.0 target - -",
  "/name 4 100644 2 0 0 0 100.0 - text -",
  "/name2 4 @100644 2 0 0 0 100.0 /name - -",
  "/null 0 20666 1 0 0 259 100.0 - - -",
  "/old 0 100644 1 0 0 0 50.0 - - -",
  `/other 7 100644 1 0 0 0 100.0 ${object(other)}`,
  "/young 1 100644 1 0 0 0 200.0 - y -",
);
/** The rules that some case has broken. */
const broken = new Set<string>();
const ruleOf = (bytes: Uint8Array) => {
  const rule = checkImage(bytes)?.rule;
  if (rule !== undefined) broken.add(rule);
  return rule;
};
const at = (path: string) => inodeAt(base, path).offset;
/** Patches `value` at `field` bytes after the inode of `path`. */
const inode = (path: string, field: number, value: Uint8Array | number[]) =>
  patched(base, at(path) + field, value);
/** Patches the entry of a name at `field` bytes after its start. */
const dirent = (directory: string, name: string, field: number, value: Uint8Array | number[]) =>
  patched(base, direntAt(base, directory, name).offset + field, value);
const renamed = (directory: string, name: string, to: string) =>
  patched(base, direntAt(base, directory, name).start, to);
const superblock = (field: number, value: Uint8Array | number[]) =>
  patched(base, 1024 + field, value);
/** Patches inside the one place where the bytes `text` stand. */
const inText = (text: string, by: string, from = base) => {
  const offset = Buffer.from(from).indexOf(text, 0, "latin1");
  expect(offset).toBeGreaterThan(0);
  expect(Buffer.from(from).indexOf(text, offset + 1, "latin1")).toBe(-1);
  return patched(from, offset, by);
};
const nidOf = (path: string) => inodeAt(base, path).nid;

/** Cases of one kind, each with the rule that refuses it. */
function refuses(title: string, cases: () => [what: string, bytes: Uint8Array, rule: ImageRule][]) {
  test(title, () => {
    const rows = cases();
    const got = rows.map(([what, bytes]) => [what, ruleOf(bytes)]);
    expect(got).toEqual(rows.map(([what, , rule]) => [what, rule]));
  });
}

test("an image that the writer makes passes, and is opened", () => {
  expect(checkImage(base)).toBe(undefined);
  expect(verifyImage(base).rootNid).toBe(36);
});

describe("headers", () => {
  refuses("what is no image, or not there (docs/hostile-inputs.md, 1)", () => [
    ["empty", base.subarray(0, 0), "header.magic"],
    ["1 byte", base.subarray(0, 1), "header.magic"],
    ["1023 bytes", base.subarray(0, 1023), "superblock.magic"],
    ["1151 bytes", base.subarray(0, 1151), "superblock.magic"],
    ["composefs magic", patched(base, 0, [0]), "header.magic"],
    ["EROFS magic", superblock(0, [0]), "superblock.magic"],
    ["version", patched(base, 4, [2]), "header.version"],
    ["format version", patched(base, 12, [2]), "header.version"],
    ["flags", patched(base, 8, [2]), "header.flags"],
    ["ACL flag without an ACL", patched(base, 8, [1]), "header.flags"],
    ["reserved", patched(base, 16, [1]), "header.reserved"],
    ["gap", patched(base, 1023, [1]), "header.reserved"],
  ]);

  refuses("a checksum that is wrong, or not announced (docs/hostile-inputs.md, 2)", () => [
    ["announced", superblock(8, [7]), "superblock.checksum"],
    ["not announced", superblock(4, [1]), "superblock.checksum"],
  ]);

  test("a checksum that is right passes (docs/hostile-inputs.md, 2)", () => {
    const bytes = superblock(8, [7]);
    const sum = crc32c(bytes.subarray(1024, 4096));
    expect(ruleOf(patched(bytes, 1028, le(sum, 4)))).toBe(undefined);
    expect((crc32c(Buffer.from("123456789")) ^ -1) >>> 0).toBe(0xe3069283); // RFC 3720's value
  });

  refuses("features (docs/hostile-inputs.md, 3)", () => [
    ["incompatible", superblock(80, [4]), "superblock.features"],
    ["unknown incompatible", superblock(83, [0x80]), "superblock.features"],
    ["no mtime", superblock(8, [4]), "superblock.features"],
    ["no filter", superblock(8, [2]), "superblock.features"],
  ]);

  refuses("compatible features that nobody knows (docs/hostile-inputs.md, 3)", () =>
    [8, 0x10, 0x20, 0x40, 0x80].flatMap((bit) => [
      [`0x${bit.toString(16)}`, superblock(8, [6 | bit]), "superblock.features"] as const,
      [`0x${bit.toString(16)}000000`, superblock(11, [bit]), "superblock.features"] as const,
    ]),
  );

  refuses("other block sizes, also those that wrap a shift (docs/hostile-inputs.md, 4)", () =>
    [0, 8, 11, 13, 31, 32, 44, 255].map((bits) => [
      `2^${bits}`,
      superblock(12, [bits]),
      "superblock.block-size",
    ]),
  );

  refuses("a file of another length than it says (docs/hostile-inputs.md, 5)", () => [
    ["cut by a byte", base.subarray(0, -1), "file.size"],
    ["cut by a block", base.subarray(0, -4096), "file.size"],
    ["a byte more", Buffer.concat([base, Buffer.alloc(1)]), "file.size"],
    ["a block more", Buffer.concat([base, Buffer.alloc(4096)]), "file.size"],
    ["blocks", superblock(36, le(2 ** 32 - 1, 4)), "file.size"],
  ]);

  refuses("a root that is not an image's root directory (docs/hostile-inputs.md, 6, 7)", () => [
    ["past the end", superblock(14, le(65535, 2)), "superblock.root"],
    ["in the superblock", superblock(14, le(32, 2)), "superblock.root"],
    ["zero", superblock(14, le(0, 2)), "superblock.root"],
    ["a file", superblock(14, le(nidOf("/name"), 2)), "superblock.root"],
    ["another directory", superblock(14, le(nidOf("/empty"), 2)), "root.opaque"],
  ]);

  refuses("fields that say something else than the image", () => [
    ["inode count", superblock(16, le(5, 8)), "inode.number"],
    ["inode count + 1", superblock(16, [base[1040]! + 1]), "superblock.inodes"],
    ["inode count beyond the limit", superblock(16, le(2n ** 63n, 8)), "superblock.inodes"],
    ["build time", superblock(24, le(101, 8)), "superblock.build-time"],
    ["build time in nanoseconds", superblock(32, le(1e9, 4)), "superblock.build-time"],
    ["meta_blkaddr", superblock(40, [1]), "superblock.reserved"],
    ["xattr_blkaddr", superblock(44, le(2 ** 32 - 1, 4)), "xattr.shared"],
    ["uuid", superblock(48, [1]), "superblock.reserved"],
    ["rest", superblock(127, [1]), "superblock.reserved"],
  ]);
});

test("an unused shared table in the wrong place is refused", () => {
  const bytes = imageOf("/ 0 40755 2 0 0 0 1.0 - - -");
  expect(ruleOf(bytes)).toBe(undefined);
  expect(ruleOf(patched(bytes, 1024 + 44, [9]))).toBe("superblock.xattr-table");
});

describe("inodes", () => {
  refuses("nids outside the image, or such as wrap (docs/hostile-inputs.md, 8)", () =>
    [0n, 1n, 35n, 2n ** 20n, 2n ** 32n + 40n, 2n ** 48n, 2n ** 53n, 2n ** 59n, 2n ** 64n - 1n].map(
      (nid) => [`nid ${nid}`, dirent("/", "name", 0, le(nid, 8)), "inode.range"],
    ),
  );

  refuses("sizes beyond 2^53 (docs/hostile-inputs.md, 9)", () => [
    ["negative", inode("/ext", 8, le(-1n, 8)), "inode.size"],
    ["2^53", inode("/ext", 8, le(2n ** 53n, 8)), "inode.size"],
    ["2^63", inode("/ext", 8, le(2n ** 63n, 8)), "inode.size"],
    ["2^53 - 1, as chunks", inode("/ext", 8, le(2n ** 53n - 1n, 8)), "file.chunks"],
    ["inline past the end", inode("/name", 8, le(2n ** 40n, 8)), "layout.range"],
  ]);

  refuses("forms and layouts outside our subset (docs/hostile-inputs.md, 10)", () => [
    ["compressed full", inode("/name", 0, [1 | (1 << 1)]), "inode.format"],
    ["compressed compact", inode("/name", 0, [1 | (3 << 1)]), "inode.format"],
    ["layout 5", inode("/name", 0, [1 | (5 << 1)]), "inode.format"],
    ["unknown bit", inode("/name", 1, [1]), "inode.format"],
    ["chunks of a directory", inode("/dir", 0, [1 | (4 << 1)]), "inode.format"],
    ["chunks of a symlink", inode("/link", 0, [1 | (4 << 1)]), "inode.format"],
    ["inline fifo", inode("/fifo", 0, [1 | (2 << 1)]), "inode.format"],
    ["plain with a tail", inode("/name", 0, [1]), "layout.overlap"],
    ["inline without a tail", inode("/name", 8, [0]), "inode.format"],
    ["chunk format 1", inode("/ext", 16, [1]), "file.chunks"],
    ["chunk indexes", inode("/ext", 16, [0x20]), "file.chunks"],
    ["48-bit chunks", inode("/ext", 16, [0x40]), "file.chunks"],
    ["an empty external file", inode("/ext", 8, [0]), "file.chunks"],
    ["an address", patched(base, inodeAt(base, "/ext").tailOffset, [2, 0, 0, 0]), "file.chunks"],
  ]);

  refuses("content beside a reference to an object (docs/hostile-inputs.md, 11)", () => [
    ["inline", inode("/ext", 0, [1 | (2 << 1)]), "overlay.metacopy"],
    ["plain", inode("/ext", 0, [1]), "overlay.metacopy"],
  ]);

  refuses("link counts and types that are not so (docs/hostile-inputs.md, 19)", () => [
    ["no link", inode("/name", 44, [0]), "inode.links"],
    ["one link, two names", inode("/name", 44, [1]), "inode.links"],
    ["three links, two names", inode("/name", 44, [3]), "inode.links"],
    ["directory", inode("/dir", 44, [2]), "inode.links"],
    ["root", inode("/", 44, [9]), "inode.links"],
    ["another type in the entry", dirent("/", "name", 10, [2]), "directory.type"],
    ["an unknown type in the entry", dirent("/", "name", 10, [8]), "directory.type"],
    ["an unknown type in the mode", inode("/fifo", 4, le(0o000644, 2)), "inode.type"],
    ["another type in the mode", inode("/fifo", 4, le(0o140644, 2)), "directory.type"],
  ]);

  test("an inode inside the content of another (docs/hostile-inputs.md, 20)", () => {
    // A whole inode of a regular file, as the first slot of content that a slot boundary cuts out.
    const fake = Buffer.alloc(32);
    fake.writeUInt16LE(0o100644, 4);
    fake.writeUInt16LE(1, 6);
    const bytes = imageOf(
      "/ 0 40755 2 0 0 0 1.0 - - -",
      `/evil 64 100644 1 0 0 0 1.0 - ${"x".repeat(64)} -`,
      "/name 0 100644 1 0 0 0 1.0 - - -",
    );
    const { nid, tailOffset } = inodeAt(bytes, "/evil");
    expect(tailOffset % 32).toBe(0);
    const { offset } = direntAt(bytes, "/", "name");
    const evil = patched(patched(bytes, tailOffset, fake), offset, le(nid + 1, 8));
    expect(ruleOf(evil)).toBe("layout.overlap");
  });

  refuses(
    "things that overlap, leave the image, or cross a block (docs/hostile-inputs.md, 20)",
    () => [
      ["block past the end", inode("/dir/big", 16, le(1e6, 4)), "layout.range"],
      ["last block", inode("/dir/big", 16, le(base.length / 4096, 4)), "layout.range"],
      ["block 0", inode("/dir/big", 16, le(0, 4)), "layout.overlap"],
      ["block of the root", inode("/dir/big", 16, le(inodeAt(base, "/").u, 4)), "layout.overlap"],
      ["tail over a block", inode("/name", 8, le(4000, 8)), "layout.tail"],
      ["tail into the next inode", inode("/name", 8, le(60, 8)), "layout.overlap"],
      ["address without blocks", inode("/fifo", 16, [1]), "layout.range"],
      [
        "padding after an inode",
        patched(base, inodeAt(base, "/name").tailOffset + 4, [1]),
        "layout.padding",
      ],
      [
        "padding of a block",
        patched(base, inodeAt(base, "/dir/big").u * 4096 + 3000, [1]),
        "layout.padding",
      ],
      [
        "between inodes and data",
        patched(base, inodeAt(base, "/").u * 4096 - 1, [1]),
        "layout.padding",
      ],
    ],
  );

  refuses("symlinks that are none (docs/hostile-inputs.md, 21)", () => [
    ["empty", inode("/link", 8, [0]), "inode.format"],
    ["NUL", patched(base, inodeAt(base, "/link").tailOffset + 2, [0]), "symlink.target"],
    ["5000 bytes", inode("/link", 8, le(5000, 8)), "layout.overlap"],
    [
      "4096 bytes in a block",
      patched(
        patched(inode("/link", 0, [1]), at("/link") + 8, le(4096, 8)),
        inodeAt(base, "/link").tailOffset,
        Buffer.alloc(6),
      ),
      "layout.overlap",
    ],
  ]);

  refuses("devices and fifos with data (docs/hostile-inputs.md, 22)", () => [
    ["fifo", inode("/fifo", 8, [1]), "inode.size"],
    ["device", inode("/null", 8, le(4096, 8)), "inode.size"],
    ["a device's inline data", inode("/null", 0, [1 | (2 << 1)]), "inode.format"],
    ["a device's chunks", inode("/null", 0, [1 | (4 << 1)]), "inode.format"],
  ]);

  test.each([
    ["fifo", "10644", "0"],
    ["socket", "140644", "0"],
    ["character device", "20644", "259"],
    ["block device", "60644", "259"],
  ])("a %s with the attributes of an object (docs/hostile-inputs.md, 22)", (_, mode, rdev) => {
    const root = "/ 0 40755 2 0 0 0 1.0 - - -";
    const fields = `${mode} 1 0 0 ${rdev} 1.0`;
    // Of what a dump says of its content nothing comes into the image.
    const content = `/f 9 ${fields} ${object(digest).replace(" - ", " 123456789 ")}`;
    expect(imageOf(root, content)).toEqual(imageOf(root, `/f 0 ${fields} - - -`));
    for (const key of ["redirect", "metacopy"] as const) {
      const bytes = imageOf(root, `/f 0 ${fields} - - - trusted.overlaz.${key}=1`);
      expect(ruleOf(bytes)).toBe(undefined);
      const name = ascii(`overlay.${key}`);
      const { xattrOffset } = inodeAt(bytes, "/f");
      const filter = ~(1 << (xxh32(name, XATTR_FILTER_SEED + 4) & 31));
      const renamed = patched(bytes, Buffer.from(bytes).indexOf("overlaz."), name);
      expect(ruleOf(patched(renamed, xattrOffset, le(filter, 4)))).toBe(`overlay.${key}`);
    }
  });

  test.each([
    ["content", `/w 5 100644 1 0 0 0 1.0 - hello -`, "whiteout.content"],
    ["an object", `/w 9 100644 1 0 0 0 1.0 ${object(digest)}`, "whiteout.content"],
    ["no content", "/w 0 100644 1 0 0 0 1.0 - - -", undefined],
  ])("an escaped whiteout with %s (docs/hostile-inputs.md, 22)", (_, line, rule) => {
    const root = "/ 0 40755 2 0 0 0 1.0 - - -";
    expect(ruleOf(imageOf(root, `${line} trusted.overlay.whiteout=`))).toBe(rule);
    expect(ruleOf(imageOf(root, line))).toBe(undefined);
  });

  refuses("fields that have to be zero, unique or small", () => [
    ["reserved", inode("/name", 6, [1]), "inode.reserved"],
    ["reserved at the end", inode("/name", 63, [1]), "inode.reserved"],
    ["reserved of a compact inode", inode("/old", 12, [1]), "inode.reserved"],
    ["another's number", inode("/name", 20, le(0, 4)), "inode.number"],
    ["number", inode("/name", 20, le(2 ** 32 - 1, 4)), "inode.number"],
    ["nanoseconds", inode("/name", 40, le(1e9, 4)), "inode.time"],
    ["older than the build time", inode("/name", 32, le(-1n, 8)), "superblock.build-time"],
  ]);
});

describe("directories", () => {
  refuses("the first name's place (docs/hostile-inputs.md, 12)", () =>
    [0, 1, 11, 13, 4097, 65535].map((value) => [
      `offset ${value}`,
      dirent("/dir", ".", 8, le(value, 2)),
      "directory.block",
    ]),
  );

  refuses("places of names that do not ascend, or lie outside (docs/hostile-inputs.md, 13)", () => [
    ["back", dirent("/dir", "big", 8, le(48, 2)), "directory.block"],
    ["same", dirent("/dir", "big", 8, le(49, 2)), "directory.block"],
    ["outside", dirent("/dir", "deep", 8, le(4095, 2)), "directory.block"],
    ["outside at the end", dirent("/dir", "deep", 8, le(65535, 2)), "directory.block"],
  ]);

  refuses("names out of order, or twice (docs/hostile-inputs.md, 14)", () => [
    ["out of order", renamed("/", "null", "zull"), "directory.order"],
    ["twice", renamed("/", "fifo", "link"), "directory.order"],
    ["twice in a row", renamed("/dir", "deep", "big\0"), "directory.order"],
    [". twice", renamed("/empty", "..", ".\0"), "directory.order"],
  ]);

  refuses("names that are none (docs/hostile-inputs.md, 15)", () => [
    ["slash", renamed("/", "name", "na/e"), "directory.name"],
    ["NUL", renamed("/", "name", "na\0e"), "directory.name"],
  ]);

  test("a name that a layer would take for a whiteout (docs/hostile-inputs.md, 15, 27)", () => {
    const bytes = imageOf("/ 0 40755 2 0 0 0 1.0 - - -", "/.wh.x 0 100644 1 0 0 0 1.0 - - -");
    expect(ruleOf(bytes)).toBe("directory.name");
  });

  refuses("the two dots (docs/hostile-inputs.md, 16)", () => [
    ["wrong .", dirent("/dir", ".", 0, le(nidOf("/empty"), 8)), "directory.dots"],
    ["wrong ..", dirent("/dir", "..", 0, le(nidOf("/empty"), 8)), "directory.dots"],
    ["wrong .. of the root", dirent("/", "..", 0, le(nidOf("/empty"), 8)), "directory.dots"],
    ["no .", renamed("/dir", ".", "+"), "directory.loop"],
    ["no ..", renamed("/dir", "..", ".a"), "directory.loop"],
    ["neither, but a file", noDots(), "directory.dots"],
    [". is no directory", dirent("/dir", ".", 10, [1]), "directory.type"],
    ["no entry at all", inode("/empty", 8, [0]), "inode.format"],
  ]);

  refuses("loops and directories with two names (docs/hostile-inputs.md, 17, 18)", () => [
    ["itself", dirent("/dir", "deep", 0, le(nidOf("/dir"), 8)), "directory.loop"],
    ["the root", dirent("/dir", "deep", 0, le(nidOf("/"), 8)), "directory.loop"],
    ["a sibling", dirent("/dir", "deep", 0, le(nidOf("/empty"), 8)), "directory.parents"],
    ["in one directory", dirent("/", "empty", 0, le(nidOf("/dir"), 8)), "directory.parents"],
  ]);

  refuses("blocks with more in them than entries and names", () => [
    ["reserved byte", dirent("/", "name", 11, [1]), "directory.block"],
    [
      "after the last name",
      patched(base, (inodeAt(base, "/").u + 1) * 4096 - 1, [1]),
      "directory.block",
    ],
    [
      "a longer tail",
      inode("/dir", 8, [Number(inodeAt(base, "/dir").size) + 1]),
      "directory.block",
    ],
    ["a shorter tail", inode("/empty", 8, [26]), "layout.padding"],
  ]);

  test("levels and paths beyond the limits", () => {
    const lines = ["/ 0 40755 3 0 0 0 1.0 - - -"];
    let path = "";
    for (let i = 0; i <= limits.depth; i++) {
      path += "/d";
      lines.push(`${path} 0 40755 3 0 0 0 1.0 - - -`);
    }
    // A path of 2 * 2048 bytes is at both limits.
    expect(ruleOf(imageOf(...lines.slice(0, -1)))).toBe(undefined);
    expect(ruleOf(imageOf(...lines))).toBe("directory.depth");
  });

  refuses(
    "whiteouts that are not stubs, and a root without its stubs (docs/hostile-inputs.md, 27)",
    () => [
      ["device 0:0", inode("/null", 16, le(0, 4)), "whiteout.device"],
      ["a stub is missing", renamed("/", "7f", "7g"), "whiteout.device"],
      ["no stub, but a file", imageOfRootWithout(), "root.stubs"],
    ],
  );
});

/** A root whose stub `ff` is a file of another name. */
function imageOfRootWithout(): Uint8Array {
  const bytes = imageOf("/ 0 40755 2 0 0 0 1.0 - - -", "/ff 0 100644 1 0 0 0 1.0 - - -");
  return patched(bytes, direntAt(bytes, "/", "ff").start, "fg");
}

/** A directory whose ".." is the second name of a file. */
function noDots(): Uint8Array {
  const bytes = imageOf(
    "/ 0 40755 3 0 0 0 1.0 - - -",
    "/d 0 40755 2 0 0 0 1.0 - - -",
    "/f 0 100644 3 0 0 0 1.0 - - -",
    "/g 0 @100644 2 0 0 0 1.0 /f - -",
  );
  const { offset, start } = direntAt(bytes, "/d", "..");
  const renamed = patched(bytes, start, ".a");
  return patched(patched(renamed, offset, le(inodeAt(bytes, "/f").nid, 8)), offset + 10, [1]);
}

describe("xattrs", () => {
  const body = inodeAt(base, "/ext").xattrOffset;
  const entry = body + 12; // of trusted.overlay.metacopy: no shared ids before it

  refuses("entries that leave their area, or have no key (docs/hostile-inputs.md, 23)", () => [
    ["more shared ids than fit", patched(base, body + 4, [255]), "xattr.range"],
    ["name past the area", patched(base, entry, [255]), "xattr.range"],
    ["value past the area", patched(base, entry + 2, le(65535, 2)), "xattr.range"],
    ["no count", inode("/ext", 2, [0, 0]), "overlay.metacopy"],
    ["half an entry", inode("/ext", 2, [2, 0]), "xattr.range"],
    ["count past the image", inode("/ext", 2, le(65535, 2)), "inode.range"],
    ["prefix 5", patched(base, entry + 1, [5]), "xattr.prefix"],
    ["prefix 7", patched(base, entry + 1, [7]), "xattr.prefix"],
    ["long prefix", patched(base, entry + 1, [0x80]), "xattr.prefix"],
    ["reserved", patched(base, body + 5, [1]), "xattr.reserved"],
    ["NUL in a key", inText("first", "fi\0st"), "xattr.key"],
    ["filter", patched(base, body, [base[body]! ^ 1]), "xattr.filter"],
    ["a key that the filter denies", inText("first", "fyrst"), "xattr.filter"],
  ]);

  test("an empty key, and a key written with another prefix (docs/hostile-inputs.md, 23)", () => {
    const bytes = imageOf("/ 0 40755 2 0 0 0 1.0 - - -", "/f 0 100644 1 0 0 0 1.0 - - - zz=1");
    const { xattrOffset } = inodeAt(bytes, "/f");
    expect(ruleOf(bytes)).toBe("xattr.name");
    // Name of no byte and value of three: the same place.
    expect(ruleOf(patched(bytes, xattrOffset + 12, [0, 0, 3, 0]))).toBe("xattr.key");
    const user = imageOf("/ 0 40755 2 0 0 0 1.0 - - -", "/f 0 100644 1 0 0 0 1.0 - - - user_a=1");
    const key = Buffer.from(user).indexOf("user_a");
    expect(ruleOf(patched(user, key, "user.a"))).toBe("xattr.prefix");
  });

  test.each([
    ["zz", "xattr.name"],
    ["system.nfs4_acl", "xattr.name"],
    ["btrfs.compression", "xattr.name"],
    ["system.posix_acl_accessible", "xattr.name"],
    ["user.", "xattr.name"],
    ["security.", "xattr.name"],
    ["user.a", undefined],
    ["trusted.a", undefined],
    ["security.capability", undefined],
  ])("the name %s, as far as the kernel shows it (docs/hostile-inputs.md, 23)", (key, expected) => {
    const file = `/f 0 100644 1 0 0 0 1.0 - - - ${key}=1`;
    expect(ruleOf(imageOf("/ 0 40755 2 0 0 0 1.0 - - -", file))).toBe(expected);
  });

  describe("POSIX ACLs (docs/hostile-inputs.md, 23)", () => {
    const entry = (tag: number, perm: number, id = 0xffffffff) =>
      Buffer.concat([le(tag, 2), le(perm, 2), le(id, 4)]);
    const acl = (...entries: Uint8Array[]) => Buffer.concat([le(2, 4), ...entries]);
    const [owner, group, others] = [entry(1, 7), entry(4, 5), entry(0x20, 1)] as const;
    const [user, mask] = [entry(2, 6, 1000), entry(0x10, 7)] as const;
    const imageWith = (value: Uint8Array, key: string, mode: string) => {
      const text = [...value].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
      const target = mode.startsWith("12") ? "target" : "-";
      const size = target === "-" ? 0 : target.length;
      const file = `/f ${size} ${mode} ${mode.startsWith("4") ? 2 : 1} 0 0 0 1.0 ${target} - - ${key}=${text}`;
      const links = mode.startsWith("4") ? 3 : 2;
      return imageOf(`/ 0 40755 ${links} 0 0 0 1.0 - - -`, file);
    };
    const access = "system.posix_acl_access";
    const byDefault = "system.posix_acl_default";

    test.each([
      ["the least", acl(owner, group, others)],
      ["a mask that is not needed", acl(owner, group, mask, others)],
      ["users and groups", acl(owner, user, group, entry(8, 4, 7), entry(8, 4, 8), mask, others)],
    ])("%s are taken", (_, value) => {
      expect(ruleOf(imageWith(value, access, "100644"))).toBe(undefined);
      expect(ruleOf(imageWith(value, access, "40755"))).toBe(undefined);
      expect(ruleOf(imageWith(value, byDefault, "40755"))).toBe(undefined);
    });

    test.each([
      ["nothing", Buffer.alloc(0)],
      ["a header alone", acl()],
      ["half an entry", acl(owner, group, others).subarray(0, -4)],
      ["another version", Buffer.concat([le(3, 4), owner, group, others])],
      ["an unknown tag", acl(owner, group, entry(0x40, 1), others)],
      ["unknown permissions", acl(entry(1, 8), group, others)],
      ["nobody's id", acl(owner, entry(2, 6), group, mask, others)],
      ["another order", acl(group, owner, others)],
      ["no entry for others", acl(owner, group)],
      ["two owners", acl(owner, owner, group, others)],
      ["no mask for a user", acl(owner, user, group, others)],
      ["two masks", acl(owner, user, group, mask, mask, others)],
    ])("%s is refused", (_, value) => {
      expect(ruleOf(imageWith(value, access, "100644"))).toBe("xattr.acl");
      expect(ruleOf(imageWith(value, byDefault, "40755"))).toBe("xattr.acl");
    });

    test("files that can have none are refused with one", () => {
      const value = acl(owner, group, others);
      expect(ruleOf(imageWith(value, byDefault, "100644"))).toBe("xattr.acl");
      expect(ruleOf(imageWith(value, access, "120777"))).toBe("xattr.acl");
    });
  });

  refuses("shared entries (docs/hostile-inputs.md, 23)", () => {
    const shared = inodeAt(base, "/dir").xattrOffset + 12;
    // The only other entry with the same key and value would be one that this test puts there.
    const inlineAsShared = () => {
      const own = inodeAt(base, "/dir").xattrOffset + 16;
      const table = new DataView(base.buffer, base.byteOffset).getUint32(1024 + 44, true) * 4096;
      return patched(base, shared, le((own - table) / 4, 4));
    };
    return [
      ["past the image", patched(base, shared, le(2 ** 32 - 1, 4)), "xattr.shared"],
      ["in an inode", patched(base, shared, le(0, 4)), "xattr.key"],
      ["an inline entry", inlineAsShared(), "xattr.shared"],
      ["another table", superblock(44, [base[1068]! - 1]), "xattr.name"],
    ];
  });

  test("a key twice (docs/hostile-inputs.md, 24)", () => {
    const bytes = imageOf(
      "/ 0 40755 2 0 0 0 1.0 - - -",
      "/f 0 100644 1 0 0 0 1.0 - - - user.aa=1 user.ab=1",
    );
    const key = Buffer.from(bytes).indexOf("ab\x31");
    expect(ruleOf(patched(bytes, key, "aa"))).toBe("xattr.duplicate");
  });

  const redirect = `/${digest.slice(0, 2)}/${digest.slice(2)}`;
  const withRedirect = (text: string) => inText(redirect, text.padEnd(redirect.length, "x"));

  refuses("redirects that are no path of the digest (docs/hostile-inputs.md, 25)", () => [
    ["another file", withRedirect("/../../../../../../etc/shadow"), "overlay.redirect"],
    ["relative", withRedirect("x" + redirect.slice(1)), "overlay.redirect"],
    ["two slashes", withRedirect("//" + redirect.slice(2)), "overlay.redirect"],
    ["upper case", withRedirect(redirect.toUpperCase()), "overlay.redirect"],
    ["another digest", withRedirect(redirect.slice(0, -1) + "2"), "overlay.redirect"],
    ["a NUL", withRedirect(redirect.slice(0, -1) + "\0"), "overlay.redirect"],
  ]);

  refuses("metacopy values of another form (docs/hostile-inputs.md, 26)", () => {
    const value = Buffer.from(base).indexOf(Buffer.from(`00240001${digest}`, "hex"));
    return [
      ["version", patched(base, value, [1]), "overlay.metacopy"],
      ["length", patched(base, value + 1, [35]), "overlay.metacopy"],
      ["flags", patched(base, value + 2, [1]), "overlay.metacopy"],
      ["algorithm", patched(base, value + 3, [2]), "overlay.metacopy"],
      ["digest", patched(base, value + 4, [0]), "overlay.redirect"],
    ];
  });

  test("an external file without digest, or without path (docs/hostile-inputs.md, 26)", () => {
    const ext = (fields: string) =>
      imageOf("/ 0 40755 2 0 0 0 1.0 - - -", `/f 9 100644 1 0 0 0 1.0 ${fields}`);
    expect(ruleOf(ext(object(digest)))).toBe(undefined);
    expect(ruleOf(ext("ab/cd - -"))).toBe("overlay.metacopy");
    expect(ruleOf(ext(`- - ${digest}`))).toBe("overlay.redirect");
    expect(ruleOf(ext("- - -"))).toBe("overlay.metacopy");
  });

  test("attributes that overlayfs would act on (docs/hostile-inputs.md, 27)", () => {
    for (const key of ["opaque", "redirect", "metacopy", "whiteout", "origin", "x"]) {
      // Escaped by the writer, so it passes; then the same length without the escape.
      const bytes = imageOf(
        "/ 0 40755 3 0 0 0 1.0 - - -",
        `/d 0 40755 2 0 0 0 1.0 - - - trusted.overlay.${key}=y`,
      );
      expect(ruleOf(bytes), key).toBe(undefined);
      const rule = ruleOf(inText("overlay.overlay.", "overlay.overlax.", bytes));
      expect(rule, key).toBe("overlay.private");
    }
    expect(ruleOf(inText("opaquey", "opaquex"))).toBe("overlay.private");
    expect(ruleOf(inText("overlay.opaquey", "overlax.opaquey"))).toMatch(
      /^xattr.filter|root.opaque$/,
    );
  });

  test("one digest with two sizes (docs/hostile-inputs.md, 28)", () => {
    const lines = (size: number) => [
      "/ 0 40755 2 0 0 0 1.0 - - -",
      `/a 100 100644 1 0 0 0 1.0 ${object(digest)}`,
      `/b ${size} 100644 1 0 0 0 1.0 ${object(digest)}`,
    ];
    expect(ruleOf(imageOf(...lines(100)))).toBe(undefined);
    expect(ruleOf(imageOf(...lines(101)))).toBe("overlay.size");
  });
});

test("more xattrs on one inode than the limit", () => {
  const lines = (count: number) => [
    "/ 0 40755 2 0 0 0 1.0 - - -",
    ...Array.from({ length: count }, (_, i) => {
      const value = "v".repeat(30_000);
      return `/f${i} 0 100644 1 0 0 0 1.0 - - - user.${i}=${value}`;
    }),
  ];
  expect(ruleOf(imageOf(...lines(2)))).toBe(undefined);
  // Values in the shared table, and an inode with three of them: mkcomposefs would refuse it.
  const names = ["a", "b", "c"];
  const shared = imageOf(
    "/ 0 40755 2 0 0 0 1.0 - - -",
    ...names.flatMap((name) =>
      ["x", "y"].map((suffix) => {
        const value = name.repeat(30_000);
        return `/${name}${suffix} 0 100644 1 0 0 0 1.0 - - - user.${name}=${value}`;
      }),
    ),
    "/z 0 100644 1 0 0 0 1.0 - - - user.z00=1 user.z01=22222222",
  );
  const ids = names.map((name) => {
    const at = inodeAt(shared, `/${name}x`).xattrOffset + 12;
    return new DataView(shared.buffer, shared.byteOffset).getUint32(at, true);
  });
  const { xattrOffset, xattrIcount } = inodeAt(shared, "/z");
  expect(xattrIcount).toBeGreaterThanOrEqual(4);
  const body = Buffer.concat([Buffer.of(3, 0, 0, 0, 0, 0, 0, 0), ...ids.map((id) => le(id, 4))]);
  const count = patched(shared, inodeAt(shared, "/z").offset + 2, [4, 0]);
  expect(ruleOf(patched(count, xattrOffset + 4, body))).toBe("xattr.size");
});

// Odd, but every bit of them is what mkcomposefs writes for what it was given.
const brokenGolden = new Map<string, ImageRule>([
  ["digest-upper", "overlay.redirect"], // payloads that are no path of the digest
  ["ext-payload-odd", "overlay.redirect"],
  ["ext-payload-slash", "overlay.redirect"],
  ["ext-no-payload", "overlay.redirect"],
  ["ext-empty-payload", "overlay.redirect"],
  ["ext-no-digest", "overlay.metacopy"],
  ["ext-neither", "overlay.metacopy"],
  ["int-forms", "overlay.metacopy"],
  ["ext-size-max", "inode.size"], // 2^53 bytes and more
  ["ext-size-wrap", "inode.size"],
  ["ext-chunks-outofline", "inode.size"],
  ["hardlink-nlink-lie", "inode.links"], // dump files may say any link count
  ["hardlink-junk-fields", "inode.links"],
  ["nlink-65535", "inode.links"],
  ["mini-rootfs", "inode.links"],
  ["hardlink-to-dir", "directory.parents"],
  ["hardlink-to-root", "directory.loop"],
  ["mtime-wrap", "inode.time"], // 1 999 999 999 ns
  ["xattr-prefixes", "xattr.acl"],
  ["xattr-order", "xattr.name"], // keys that the kernel does not show
  ["xattr-long-key", "xattr.name"],
  ["xattr-filter", "xattr.name"],
  ["shared-order", "xattr.name"],
  ["acl-lookalike", "xattr.name"],
]);

test.each(goldenImages())("$name passes, or breaks the rule that it is made to break", (image) => {
  expect(ruleOf(image.bytes)).toBe(brokenGolden.get(image.name.split(".")[0]!));
});

test("every rule has refused something here", () => {
  expect(Object.keys(imageRules).filter((rule) => !broken.has(rule))).toEqual([]);
});

test("a refusal names rule and offset, and says what the rule is", () => {
  const { offset } = direntAt(base, "/dir", "deep");
  const bytes = dirent("/dir", "deep", 0, le(nidOf("/dir"), 8));
  const error = (() => {
    try {
      verifyImage(bytes);
    } catch (thrown) {
      return thrown;
    }
    return undefined;
  })();
  expect(error).toBeInstanceOf(FormatError);
  expect(error).toMatchObject({ rule: "directory.loop", offset, code: "MALFORMED" });
  expect((error as FormatError).message).toBe(
    `image breaks directory.loop at byte ${offset}: deep leads to its parent`,
  );
  expect((error as FormatError).hint).toContain(imageRules["directory.loop"]);
});
