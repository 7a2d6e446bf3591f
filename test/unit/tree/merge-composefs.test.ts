/** The rules of the profile composefs-oci-v1, and what composefs-rs publishes of its results. */
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { FormatError } from "../../../src/errors.ts";
import type { TarEntry } from "../../../src/tar/entry.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import {
  type Directory,
  Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  newDirectory,
} from "../../../src/tree/inode.ts";
import { type LayerEntry, type MergeOptions, mergeLayers } from "../../../src/tree/merge.ts";
import { type VerityDigest, parseVerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import {
  at,
  device,
  directory,
  empty,
  entriesOf,
  file,
  hardlink,
  listing,
  merge,
  symlink,
} from "../../support/layers.ts";
import { archive, header, longName, member, pax } from "../../support/tar.ts";
import { dumpOfTree } from "../../support/dump.ts";

const usr = directory("usr");

const lines = (...layers: Uint8Array[][]) => listing(merge([[usr], ...layers], "composefs-oci-v1"));

function refused(
  layers: Uint8Array[][],
  message: string,
  code: FormatError["code"] = "UNSUPPORTED",
  options?: MergeOptions,
): void {
  let error: unknown;
  try {
    merge(layers, "composefs-oci-v1", options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).message).toContain(message);
  expect((error as FormatError).code).toBe(code);
}

describe("entries are applied one by one", () => {
  test("a whiteout removes what its own layer placed before, not after", () => {
    expect(lines([file("x"), empty(".wh.x")])).toEqual(["usr/"]);
    expect(lines([empty(".wh.x"), file("x")])).toEqual(["usr/", "x = x"]);
    expect(lines([file("x")], [empty(".wh.x")])).toEqual(["usr/"]);
  });

  test("an opaque marker clears the directory at once", () => {
    const before = [file("usr/a"), empty("usr/.wh..wh..opq"), file("usr/b")];
    expect(lines(before)).toEqual(["usr/", "usr/b = usr/b"]);
    expect(lines([directory("d"), file("d/x")], [empty("d/.wh..wh..opq")])).toEqual(["d/", "usr/"]);
  });

  test.each([".wh.nothere", ".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.aufs"])(
    "the whiteout %s removes nothing",
    (name) => {
      expect(lines([empty(name)])).toEqual(["usr/"]);
    },
  );

  test("the whiteout .wh..wh. is no opaque marker", () => {
    expect(lines([file("usr/x"), empty("usr/.wh..wh.")])).toEqual(["usr/", "usr/x = usr/x"]);
  });

  test("directories merge, anything else replaces", () => {
    expect(lines([file("usr/x")], [directory("usr")])).toEqual(["usr/", "usr/x = usr/x"]);
    expect(lines([directory("d"), file("d/x")], [file("d", "file")])).toEqual(["d = file", "usr/"]);
    expect(lines([symlink("d", "usr")], [directory("d")])).toEqual(["d/", "usr/"]);
    expect(lines([file("x", "1"), file("x", "2")])).toEqual(["usr/", "x = 2"]);
  });

  test.each([
    ["/x", "x"],
    ["./x", "x"],
    ["usr//x", "usr/x"],
    ["usr/./x", "usr/x"],
    ["x/", "x"],
    ["x//", "x"],
  ])("the path %j is %s, also with a slash at its end", (name, path) => {
    expect(lines([file(name, "new")])).toContain(`${path} = new`);
  });

  test("a missing parent is refused, for whiteouts too", () => {
    const message = 'layer 2: entry "p/x" at 0: expected a directory at "p", got nothing';
    refused([[usr], [file("p/x")]], message);
    refused([[usr], [empty("p/.wh.x")]], 'expected a directory at "p", got nothing');
    refused([[usr], [file("usr/.wh.x/y")]], 'expected a directory at "usr/.wh.x", got nothing');
  });

  test("a parent that is a symlink or a file is refused", () => {
    refused([[usr, symlink("l", "usr"), file("l/x")]], 'at "l", got a symlink to "usr"');
    refused([[usr, file("f"), file("f/x")]], 'at "f", got another kind of file');
  });

  test("a root that is not a directory is refused, and so is ..", () => {
    refused([[usr, file("./", "")]], "expected a directory as root, got a file", "MALFORMED");
    refused([[usr, file("usr/../x")]], 'expected no ".."', "MALFORMED");
  });
});

describe("hard links", () => {
  test("share the inode, into lower layers too; removing a name leaves the others", () => {
    const lower = [file("usr/a", "x"), hardlink("usr/b", "/usr/a")];
    expect(lines(lower, [hardlink("c", "usr/b"), empty("usr/.wh.a")])).toEqual([
      "c = x",
      "usr/",
      "usr/b => c",
    ]);
    const tree = merge([[usr, ...lower]], "composefs-oci-v1");
    expect(at(tree, "usr/a").nlink).toBe(2);
  });

  test("one to itself changes nothing when the name exists", () => {
    expect(lines([file("x")], [hardlink("x", "x")])).toEqual(["usr/", "x = x"]);
  });

  test("missing targets, directories and the root are refused", () => {
    refused([[usr, hardlink("x", "y")]], 'target "y": expected an earlier entry', "MALFORMED");
    refused([[usr, hardlink("x", "usr")]], "expected a file, got a directory", "MALFORMED");
    refused([[usr, hardlink("x", "/")]], "expected a file, got the root", "MALFORMED");
    refused([[usr, hardlink("x", "p/y")]], 'expected a directory at "p", got nothing');
    // The link is resolved before its own name is looked at.
    refused([[usr, hardlink(".wh.x", "y")]], "expected an earlier entry", "MALFORMED");
  });

  test("a character device 0:0 with two names is refused", () => {
    expect(lines([device("w", 0, 0)])).toEqual(["usr/", "w 20000"]);
    refused([[usr, device("w", 0, 0), hardlink("v", "w")]], "expected one name for a character");
    expect(lines([device("w", 0, 0), hardlink("v", "w")], [empty(".wh.v")])).toContain("w 20000");
  });
});

describe("what composefs-rs cannot read is refused", () => {
  test("sizes of what has no content", () => {
    const link = header({ name: "l", type: "2", linkName: "t", size: 5 });
    refused([[usr, link]], "expected a symlink of size 0, got another (composefs-oci-v1: types)");
  });

  test("sparse files", () => {
    const records = { "GNU.sparse.size": "5", "GNU.sparse.numblocks": "0", "GNU.sparse.map": "" };
    refused([[usr, pax(records), member({ name: "s" })]], "expected no sparse file, got one");
  });

  test("times before 1970", () => {
    const message = "mtime: expected no time before 1970, got -2";
    refused([[usr, pax({ mtime: "-1.5" }), file("x")]], message);
  });

  test("times keep their nanoseconds", () => {
    const tree = merge([[usr, pax({ mtime: "5.25" }), file("x")]], "composefs-oci-v1");
    expect(at(tree, "x")).toMatchObject({ mtimeSeconds: 5n, mtimeNanoseconds: 250_000_000 });
  });
});

describe("the canonical form", () => {
  const meta = { mode: 0o711, uid: 5, gid: 6, mtime: 1_700_000_000 };

  test("the root has the metadata of /usr, whatever its own entry says", () => {
    const xattrs = { "security.capability": "c", "user.x": "x" };
    const root = directory("./", { mode: 0o700, uid: 9, xattrs: { "user.r": "r" } });
    const tree = merge([[root, directory("usr", { ...meta, xattrs })]], "composefs-oci-v1");
    expect(tree).toMatchObject({ mode: 0o040711, uid: 5, gid: 6, mtimeSeconds: 1_700_000_000n });
    expect([...tree.xattrs]).toEqual([["security.capability", "c"]]);
    expect(tree.xattrs).not.toBe(at(tree, "usr").xattrs);
  });

  test("an image without a directory /usr is refused", () => {
    refused([[file("x")]], "image: expected a directory /usr, got nothing");
    refused([[symlink("usr", "x")]], 'expected a directory /usr, got a symlink to "x"');
    refused([[file("usr")]], "expected a directory /usr, got another kind of file");
    refused([], "image: expected a directory /usr");
  });

  test("/run is emptied and gets the time of /usr", () => {
    const run = [directory("run", { mode: 0o700, uid: 3, mtime: 9 }), file("run/x", "x")];
    const link = hardlink("y", "run/x");
    const tree = merge([[directory("usr", meta), ...run, link]], "composefs-oci-v1");
    expect(listing(tree)).toEqual(["run/", "usr/", "y = x"]);
    expect(at(tree, "run")).toMatchObject({ mode: 0o040700, uid: 3, mtimeSeconds: 1_700_000_000n });
    expect(at(tree, "y").nlink).toBe(1);
  });

  test("a /run that is no directory is refused; /tmp, /proc and the like stay", () => {
    refused([[usr, symlink("run", "var/run")]], 'got a symlink to "var/run"');
    const dirs = ["tmp", "proc", "sys", "dev"].flatMap((name) => [
      directory(name),
      file(`${name}/x`),
    ]);
    expect(lines(dirs)).toHaveLength(9);
  });

  const xattrs = {
    "security.capability": "\x01\0",
    "security.selinux": "label",
    "user.mine": "u",
    "trusted.overlay.redirect": "/x",
    "system.posix_acl_access": "acl",
  };

  test.each([
    ["composefs", ["security.capability"]],
    ["composefs-user", ["security.capability", "user.mine"]],
  ] as const)("the xattr mode %s keeps %j", (mode, kept) => {
    const layers = [
      [usr, file("f", "x", { xattrs }), hardlink("g", "f"), directory("d", { xattrs })],
    ];
    const tree = merge(layers, "composefs-oci-v1", { xattrs: mode });
    expect([...at(tree, "f").xattrs.keys()]).toEqual(kept);
    expect([...at(tree, "d").xattrs.keys()]).toEqual(kept);
    if (mode === "composefs")
      expect([...treeDifferences(tree, merge(layers, "composefs-oci-v1"))]).toEqual([]);
  });

  test("the limits of names, paths and targets hold here too", () => {
    refused([[usr, longName("n".repeat(256)), file("x")]], "at most 255 bytes", "LIMIT");
    const link = header({ name: "l", type: "2", linkName: "x" });
    refused([[usr, longName("t".repeat(4096), "K"), link]], "at most 4095 bytes", "LIMIT");
  });
});

describe("published results of composefs-rs", () => {
  const digests = {
    passwd: "f2c4fd5735bd46db3b18d402ae87c5086c97c0e1321901cfd30f320b73ef25aa",
    busybox: "f0f7e1e58fdd31f5792222087377a4a976760c416ecdf5f426193e608681b7a1",
    readme: "5144b8f80be57c3518f410d930e18c4e405387c82e4993c18265a1ba4a80263b",
    json: "c921965b74ac1780bc437cec640b27186d85317b9afdb3dbb68626aed5ecd2b6",
  };
  const capability = `\x02\0\0\x02\0\x20${"\0".repeat(14)}`;

  // Its composefs-oci tests merge an image of five layers like these and record the dump. The
  // contents of its large files are random, so they are given here by size and digest.
  test("a base image of five layers has the tree that its tests expect", () => {
    const dirs = (...names: string[]) => names.map((name) => directory(name));
    const applet = (name: string) => symlink(`usr/bin/${name}`, "busybox");
    const ping = pax({ "SCHILY.xattr.security.capability": capability });
    const large = (path: string, size: number, digest: string, mode = 0o644): LayerEntry => ({
      entry: { ...template, path: ascii(path), size, mode },
      digest: parseVerityDigest(digest),
    });
    const layers = [
      entries(dirs("usr", "usr/bin", "usr/lib", "usr/share", "etc", "var", "tmp")),
      [
        ...entries(dirs("usr", "usr/bin")),
        large("usr/bin/busybox", 4096, digests.busybox, 0o755),
        ...entries([applet("sh")]),
      ],
      entries([
        ...dirs("usr", "usr/bin"),
        ...["ls", "cat", "cp", "mv"].map(applet),
        ping,
        ...["ping", "rm"].map(applet),
      ]),
      [
        ...entries(dirs("etc")),
        ...entries([
          file("etc/os-release", "ID=test\nVERSION_ID=1.0\n"),
          file("etc/hostname", "test-host"),
        ]),
        large("etc/passwd", 100, digests.passwd),
      ],
      [
        ...entries(dirs("usr", "usr/share", "usr/share/doc")),
        large("usr/share/doc/README", 512, digests.readme),
        ...entries(dirs("var", "var/data")),
        large("var/data/app.json", 256, digests.json),
      ],
    ];
    const tree = mergeLayers(
      layers.map((layer, index) => ({ label: `layer ${index + 1}`, entries: layer })),
      "composefs-oci-v1",
    );
    const object = (digest: string) => `${digest.slice(0, 2)}/${digest.slice(2)} - ${digest}`;
    const escaped = `\\x02\\x00\\x00\\x02\\x00\\x20${"\\x00".repeat(14)}`;
    const link = (name: string) => `/usr/bin/${name} 7 120777 1 0 0 0 0.0 busybox - -`;
    expect(dumpOf(tree)).toEqual([
      "/ 0 40755 6 0 0 0 0.0 - - -",
      "/etc 0 40755 2 0 0 0 0.0 - - -",
      "/etc/hostname 9 100644 1 0 0 0 0.0 - test-host -",
      "/etc/os-release 23 100644 1 0 0 0 0.0 - ID=test\\nVERSION_ID=1.0\\n -",
      `/etc/passwd 100 100644 1 0 0 0 0.0 ${object(digests.passwd)}`,
      "/tmp 0 40755 2 0 0 0 0.0 - - -",
      "/usr 0 40755 5 0 0 0 0.0 - - -",
      "/usr/bin 0 40755 2 0 0 0 0.0 - - -",
      `/usr/bin/busybox 4096 100755 1 0 0 0 0.0 ${object(digests.busybox)}`,
      ...["cat", "cp", "ls", "mv"].map(link),
      `${link("ping")} security.capability=${escaped}`,
      ...["rm", "sh"].map(link),
      "/usr/lib 0 40755 2 0 0 0 0.0 - - -",
      "/usr/share 0 40755 3 0 0 0 0.0 - - -",
      "/usr/share/doc 0 40755 2 0 0 0 0.0 - - -",
      `/usr/share/doc/README 512 100644 1 0 0 0 0.0 ${object(digests.readme)}`,
      "/var 0 40755 3 0 0 0 0.0 - - -",
      "/var/data 0 40755 2 0 0 0 0.0 - - -",
      `/var/data/app.json 256 100644 1 0 0 0 0.0 ${object(digests.json)}`,
    ]);
  });

  test.each([
    ["file4095", 4095, "5372beb83c78537c8970c8361e3254119fafdf1763854ecd57d3f0fe2da7c719"],
    ["file4096", 4096, "babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e"],
    ["file4097", 4097, "093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743"],
  ])("%s of zeros in a layer has the digest that its tests expect", (name, size, digest) => {
    const tree = merge([[usr, file(name, "\0".repeat(size), { mode: 0o700 })]], "composefs-oci-v1");
    expect(at(tree, name)).toMatchObject({ digest, mode: 0o100700, size: BigInt(size) });
  });

  // Its mkfs tests pin the ids of two trees for the formats 0 and 1 (there V0 and V1).
  test.each([
    ["empty", 0, "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682"],
    ["empty", 1, "14a26c957c84f6eb774b91205476adc13196c7c33b9dd97d08d43725ecb90b63"],
    ["simple", 0, "9f3f5620ee0c54708516467d0d58741e7963047c7106b245d94c298259d0fa01"],
    ["simple", 1, "ad6db6427568a1e4fdc772cbab7b6063f5eb4b33cb62982a740ba9213e5962b5"],
  ] as const)("the tree %s in format %d has the id that its tests pin", (name, version, id) => {
    const tree = name === "empty" ? newDirectory(0o755) : simpleTree();
    const image = writeImage(tree, { minVersion: version, maxVersion: version });
    expect(verityDigestOf(image, "sha256")).toBe(id);
  });
});

const template: TarEntry = {
  type: "file",
  path: ascii("x"),
  linkPath: ascii(""),
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeSeconds: 0n,
  mtimeNanoseconds: 0,
  rdev: 0,
  xattrs: new Map(),
  headerOffset: 0,
  dataOffset: 512,
  segments: undefined,
  sizeIgnored: false,
};

function entries(members: readonly Uint8Array[]): LayerEntry[] {
  return entriesOf(archive(...members));
}

/** One inode of each type, without permissions, as in composefs-rs's mkfs tests. */
function simpleTree() {
  const root = newDirectory(0o755);
  const add = (name: string, mode: number, fields: Partial<Inode>) =>
    root.entries.set(ascii(name), Object.assign(new Inode(mode), fields));
  const digest = "5a".repeat(32) as VerityDigest;
  const content = Buffer.from("hihi");
  add("fifo", S_IFIFO, {});
  add("regular-inline", S_IFREG, { size: 4n, content });
  const payload = ascii(`${digest.slice(0, 2)}/${digest.slice(2)}`);
  add("regular-external", S_IFREG, { size: 1234n, digest, payload });
  add("chrdev", S_IFCHR, { rdev: 123 });
  add("blkdev", S_IFBLK, { rdev: 123 });
  add("socket", S_IFSOCK, {});
  add("symlink", S_IFLNK, { target: ascii("/target") });
  return root;
}

/** The dump without the sizes of directories, which depend on the image. */
function dumpOf(tree: Directory): string[] {
  return dumpOfTree(tree)
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^(\S+) \d+ (4\d{4}) /, "$1 0 $2 "));
}
