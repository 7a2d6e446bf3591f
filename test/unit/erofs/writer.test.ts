import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ascii, toByteString } from "../../../src/bytes/bytestring.ts";
import { FormatError, UsageError } from "../../../src/errors.ts";
import { ComposefsHeader, Superblock, SUPERBLOCK_OFFSET } from "../../../src/erofs/format.ts";
import { Image } from "../../../src/erofs/image.ts";
import { readTree } from "../../../src/erofs/tree.ts";
import { type FormatVersion, writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import {
  type Directory,
  HardLink,
  Inode,
  S_IFCHR,
  S_IFLNK,
  S_IFREG,
  newDirectory,
} from "../../../src/tree/inode.ts";
import { type VerityDigest, objectPath } from "../../../src/verity/verity-digest.ts";
import { randomDump } from "../../support/random-dump.ts";
import { dumpOfTree } from "../../support/dump.ts";

const runs = process.env["SLOW"] ? 300 : 25;

const versionOf = (image: Uint8Array) => ComposefsHeader.decode(image).composefsVersion;

function file(size: bigint): Inode {
  const inode = new Inode(S_IFREG | 0o644);
  inode.size = size;
  return inode;
}

function rootWith(entries: Record<string, Inode | HardLink>): Directory {
  const root = newDirectory();
  for (const [name, entry] of Object.entries(entries)) root.entries.set(ascii(name), entry);
  return root;
}

test("an empty root gives the bytes of the format's worked example", () => {
  const image = writeImage(newDirectory());
  expect(image.length).toBe(16384);
  expect(Superblock.decode(image, SUPERBLOCK_OFFSET)).toMatchObject({
    rootNid: 36,
    inos: 257n,
    blocks: 4,
    xattrBlkaddr: 2,
  });
});

test("a tree is written twice with the same bytes and stays as it is", () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom<FormatVersion>(0, 1), (seed, version) => {
      const root = parseDump(randomDump(60, seed, "chaos"));
      const before = dumpOfTree(root);
      const options = { minVersion: version, maxVersion: version };
      let first: Uint8Array;
      try {
        first = writeImage(root, options);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError); // the limits of random attributes
        return;
      }
      expect(Buffer.compare(writeImage(root, options), first)).toBe(0);
      expect(dumpOfTree(root)).toBe(before);
    }),
    { numRuns: runs },
  );
});

test("writing what an image holds gives the image again", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      // The first round moves an inode with hard links to the first of its names.
      const first = writeImage(parseDump(randomDump(200, seed, "rootfs")));
      const second = writeImage(readTree(Image.open(first)));
      const third = writeImage(readTree(Image.open(second)));
      expect(Buffer.compare(third, second)).toBe(0);
    }),
    { numRuns: runs },
  );
});

describe("sha512", () => {
  const digest = "c7".repeat(64) as VerityDigest;

  test("metacopy and redirect carry 64 bytes, whether one file or several have the object", () => {
    for (const count of [1, 2]) {
      const entries: Record<string, Inode> = {};
      for (let i = 0; i < count; i++) {
        entries[`f${i}`] = file(100n);
        entries[`f${i}`]!.digest = digest;
      }
      const image = Image.open(writeImage(rootWith(entries)));
      const root = image.inode(image.rootNid);
      const inode = image.inode(image.lookup(root, ascii("f0"))!.nid);
      const value = Uint8Array.from([0, 68, 0, 2, ...Buffer.from(digest, "hex")]);
      const stored = new Map(image.storedXattrs(inode));
      expect(stored.get(ascii("trusted.overlay.metacopy"))).toBe(toByteString(value));
      expect(stored.get(ascii("trusted.overlay.redirect"))).toBe(`/${objectPath(digest)}`);
      expect(stored.size).toBe(2);
    }
  });

  test("both algorithms in one tree keep their own values", () => {
    const short = "01".repeat(32) as VerityDigest;
    const a = file(65n);
    a.digest = digest;
    const b = file(65n);
    b.digest = short;
    const image = Image.open(writeImage(rootWith({ a, b })));
    const root = image.inode(image.rootNid);
    const contents = ["a", "b"].map((name) =>
      image.content(image.inode(image.lookup(root, ascii(name))!.nid)),
    );
    expect(contents).toEqual([
      { kind: "object", digest, size: 65 },
      { kind: "object", digest: short, size: 65 },
    ]);
  });
});

describe("format version", () => {
  const whiteout = () => new Inode(S_IFCHR | 0o600);

  test.each([
    [{}, false, 0],
    [{}, true, 1],
    [{ maxVersion: 0 }, true, 0],
    [{ maxVersion: 1 }, true, 1],
    [{ maxVersion: 1 }, false, 0],
    [{ minVersion: 0 }, true, 0],
    [{ minVersion: 1 }, false, 1],
    [{ minVersion: 1, maxVersion: 0 }, false, 1],
  ] as const)("%j, whiteouts %j: version %i", (options, hasWhiteout, version) => {
    const root = rootWith(hasWhiteout ? { w: whiteout() } : {});
    expect(versionOf(writeImage(root, options))).toBe(version);
  });

  test("a whiteout with a hard link asks for version 1", () => {
    const w = whiteout();
    const linked = rootWith({ w, l: new HardLink(w) });
    expect(versionOf(writeImage(linked))).toBe(1);
  });

  test.each([2, -1, 0.5, Number.NaN])("version %d is refused", (version) => {
    const maxVersion = version as FormatVersion;
    expect(() => writeImage(newDirectory(), { maxVersion })).toThrow(UsageError);
  });
});

describe("what does not fit is refused", () => {
  const withXattr = (key: string, value: string) => {
    const inode = file(0n);
    inode.xattrs = new Map([[ascii(key), ascii(value)]]);
    return inode;
  };
  const inline = (length: number) => {
    const inode = file(BigInt(length));
    inode.content = new Uint8Array(length);
    return inode;
  };
  const link = (length: number) => {
    const inode = new Inode(S_IFLNK | 0o777);
    inode.target = ascii("t".repeat(length));
    return inode;
  };

  test.each<[string, () => Inode | HardLink, () => Inode | HardLink]>([
    ["content", () => inline(5000), () => inline(5001)],
    ["symlink target", () => link(4095), () => link(4096)],
    [
      "xattr name",
      () => withXattr(`user.${"k".repeat(255)}`, ""),
      () => withXattr(`user.${"k".repeat(256)}`, ""),
    ],
    [
      "xattr value",
      () => withXattr("user.k", "v".repeat(65535)),
      () => withXattr("user.k", "v".repeat(65536)),
    ],
    ["file size", () => file(2n ** 53n), () => file(2n ** 53n + 1n)],
  ])("%s: at the limit, and one more", (_, good, bad) => {
    expect(() => writeImage(rootWith({ f: good() }))).not.toThrow();
    expect(() => writeImage(rootWith({ f: bad() }))).toThrow(FormatError);
  });

  test("a name of 256 bytes, but not one of 255", () => {
    expect(() => writeImage(rootWith({ ["n".repeat(255)]: file(0n) }))).not.toThrow();
    expect(() => writeImage(rootWith({ ["n".repeat(256)]: file(0n) }))).toThrow(FormatError);
  });

  test("a hard link to an inode outside the tree", () => {
    expect(() => writeImage(rootWith({ l: new HardLink(file(1n)) }))).toThrow(FormatError);
  });

  test("more attributes than an inode's count field can tell", () => {
    const inode = file(0n);
    const value = ascii("v".repeat(60000));
    inode.xattrs = new Map(
      Array.from({ length: 5 }, (_, i) => [ascii(`user.k${i}`), ascii(`${i}${value}`)]),
    );
    expect(() => writeImage(rootWith({ f: inode }))).toThrow(FormatError);
  });
});

test("a time beyond 2^53 seconds is exact, and the oldest one is found", () => {
  const old = file(0n);
  old.mtimeSeconds = -(2n ** 63n);
  const older = file(0n);
  older.mtimeSeconds = -(2n ** 63n) + 1n;
  const recent = file(0n);
  recent.mtimeSeconds = 2n ** 63n - 1n;
  recent.mtimeNanoseconds = 0xffffffff;
  const bytes = writeImage(rootWith({ a: older, b: old, c: recent }));
  expect(Superblock.decode(bytes, SUPERBLOCK_OFFSET).buildTime).toBe(-(2n ** 63n));
  const image = Image.open(bytes);
  const root = image.inode(image.rootNid);
  const times = ["a", "b", "c"].map(
    (name) => image.inode(image.lookup(root, ascii(name))!.nid).mtimeSeconds,
  );
  expect(times).toEqual([-(2n ** 63n) + 1n, -(2n ** 63n), 2n ** 63n - 1n]);
});

test("digests that were made up, and so are alike, are told apart in no more time than real ones", () => {
  const lines = Array.from({ length: 60_000 }, (_, i) => {
    const digest = i.toString(16).padStart(64, "0");
    const path = `${digest.slice(0, 2)}/${digest.slice(2)}`;
    return `/f${i} 5000 100644 1 0 0 0 1.0 ${path} - ${digest}`;
  });
  const dump = `/ 4096 40755 2 0 0 0 1.0 - - -\n${lines.join("\n")}\n`;
  // With a slot for all of them this would take minutes.
  expect(writeImage(parseDump(Buffer.from(dump))).length).toBeGreaterThan(60_000 * 100);
});
