import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import type { TarEntry } from "../../../src/tar/entry.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import {
  GNU_MAGIC,
  V7_MAGIC,
  archive,
  base256,
  fixChecksum,
  header,
  longName,
  member,
  pax,
  paxRecord,
  readTar,
} from "../../support/tar.ts";

const slow = process.env["SLOW"] === "1" ? 20 : 1;

function only(...members: Uint8Array[]): TarEntry & { content: Uint8Array | undefined } {
  const entries = readTar(archive(...members));
  expect(entries).toHaveLength(1);
  return entries[0]!;
}

test("a ustar header gives its fields", () => {
  const entry = only(
    member(
      {
        name: "name",
        prefix: "some/prefix",
        mode: 0o104755,
        uid: 1000,
        gid: 100,
        mtime: 1_700_000_000,
      },
      "hello",
    ),
  );
  expect(entry).toMatchObject({
    type: "file",
    path: "some/prefix/name",
    linkPath: "",
    mode: 0o4755,
    uid: 1000,
    gid: 100,
    size: 5,
    mtimeSeconds: 1_700_000_000n,
    mtimeNanoseconds: 0,
    rdev: 0,
    headerOffset: 0,
    dataOffset: 512,
    segments: undefined,
    sizeIgnored: false,
  });
  expect(entry.xattrs.size).toBe(0);
  expect(Buffer.from(entry.content!).toString()).toBe("hello");
});

test.each([
  ["0", "file"],
  ["\0", "file"],
  ["7", "file"],
  ["5", "directory"],
  ["6", "fifo"],
] as const)("type flag %j makes a %s", (type, expected) => {
  expect(only(header({ type })).type).toBe(expected);
});

test.each([
  ["1", "hardlink"],
  ["2", "symlink"],
] as const)("type flag %j makes a %s with its target", (type, expected) => {
  const entry = only(header({ type, linkName: "to/here" }));
  expect(entry).toMatchObject({ type: expected, linkPath: "to/here" });
});

test("an old header without a type makes a directory of a name with a slash at its end", () => {
  expect(only(header({ name: "d/", type: "\0", magic: V7_MAGIC }))).toMatchObject({
    type: "directory",
    path: "d/",
  });
});

test("device numbers are encoded as Linux does", () => {
  const fields = { type: "3", deviceMajor: 259, deviceMinor: 300 };
  expect(only(header(fields))).toMatchObject({ type: "character", rdev: 0x0011_032c });
  const widest = { type: "4", deviceMajor: 0xfff, deviceMinor: 0xf_ffff };
  expect(only(header(widest))).toMatchObject({ type: "block", rdev: 0xffff_ffff });
  expect(() => only(header({ type: "4", deviceMajor: 0x1000, deviceMinor: 0 }))).toThrow(
    "devmajor: expected 0 to 4095, got 4096",
  );
});

test("names and link names of 100 bytes need no NUL, and are any bytes", () => {
  const name = "\xff\xfe\n".padEnd(100, "x");
  const entry = only(header({ name, type: "2", linkName: name }));
  expect(entry).toMatchObject({ path: name, linkPath: name });
});

test("GNU long names replace those of the header", () => {
  const name = "n".repeat(3000);
  const link = "\xe9".repeat(4096);
  const entry = only(
    longName(name),
    longName(link, "K"),
    header({ name: "short", type: "2", linkName: "short", magic: GNU_MAGIC }),
  );
  expect(entry).toMatchObject({ path: name, linkPath: link, headerOffset: 512 * (1 + 6 + 1 + 9) });
});

test("no notice is taken of the size of an entry without content", () => {
  for (const type of ["1", "2", "3", "4", "5", "6"]) {
    const device = { deviceMajor: 1, deviceMinor: 1 };
    const fields = { name: "d", type, linkName: "t", size: 512, ...device };
    expect(readTar(archive(header(fields), header({ name: "next" })))).toMatchObject([
      { path: "d", size: 0, sizeIgnored: true },
      { path: "next", sizeIgnored: false },
    ]);
  }
  const oldDirectory = header({ name: "d/", type: "\0", magic: V7_MAGIC, size: 5 });
  expect(only(oldDirectory)).toMatchObject({ type: "directory", sizeIgnored: true });
});

test("base-256 holds what octal cannot", () => {
  const entry = only(
    header({
      uid: base256(0xffff_fffen, 8),
      gid: base256(2_097_152n, 8),
      mtime: base256(-86_400n, 12),
      magic: GNU_MAGIC,
    }),
  );
  expect(entry).toMatchObject({ uid: 0xffff_fffe, gid: 2_097_152, mtimeSeconds: -86_400n });
  const far = (1n << 63n) - 1n;
  expect(only(header({ mtime: base256(far, 12) })).mtimeSeconds).toBe(far);
  expect(() => only(header({ mtime: base256(far + 1n, 12) }))).toThrow("64-bit");
});

test("pax records replace what the header says", () => {
  const entry = only(
    pax({
      path: "a\xff/b",
      linkpath: "\xfe",
      uid: "4294967295",
      gid: "3000000",
      mtime: "-1.5",
      atime: "1.5",
      uname: "\xffroot",
      "LIBARCHIVE.xattr.user.x": "aGk",
      "SCHILY.xattr.user.empty": "",
      "SCHILY.xattr.security.capability": "\x01\0\0\x02\0 =\n\0",
      comment: "",
    }),
    header({ type: "2", linkName: "short", uid: 1, gid: 1, mtime: 5 }),
  );
  expect(entry).toMatchObject({
    path: "a\xff/b",
    linkPath: "\xfe",
    uid: 0xffff_ffff,
    gid: 3_000_000,
    mtimeSeconds: -2n,
    mtimeNanoseconds: 500_000_000,
  });
  expect([...entry.xattrs]).toEqual([
    ["user.empty", ""],
    ["security.capability", "\x01\0\0\x02\0 =\n\0"],
  ]);
});

test("a pax header is for one entry only", () => {
  const entries = readTar(archive(pax({ path: "long" }), header({}), header({ name: "next" })));
  expect(entries.map(({ path }) => path)).toEqual(["long", "next"]);
});

test.each([
  ["0", 0n, 0],
  ["12.", 12n, 0],
  ["1.000000001", 1n, 1],
  ["1.0000000019", 1n, 1],
  ["-0.25", -1n, 750_000_000],
  ["-3", -3n, 0],
  ["-1.0000000001", -1n, 0],
  ["-9223372036854775808", -(1n << 63n), 0],
])("the pax time %s is %d s and %d ns", (mtime, seconds, nanoseconds) => {
  const entry = only(pax({ mtime }), header({}));
  expect(entry.mtimeSeconds).toBe(seconds);
  expect(entry.mtimeNanoseconds).toBe(nanoseconds);
});

test.each(["", "1e3", "NaN", "1,5", "0x10", "--1", " 1", "+1", "9223372036854775808", ".5"])(
  "the pax time %j is refused",
  (mtime) => {
    expect(() => only(pax({ mtime }), header({}))).toThrow('pax record "mtime"');
  },
);

test("a checksum of signed bytes is as good as one of unsigned bytes", () => {
  const block = header({ name: "\xff\xfe\xfd" });
  fixChecksum(block, 0, true);
  expect(only(block).path).toBe("\xff\xfe\xfd");
});

test("errors name the entry, its place, the expected and the found", () => {
  const bytes = archive(header({ name: "a" }), header({ name: "b\n", mode: "rw-r--r-" }));
  expect(() => readTar(bytes)).toThrow(
    'tar entry "b\\x0a" at 512: mode: expected octal digits, then spaces or NULs, got "rw-r--r-"',
  );
});

test("an error is repeated, and nothing is taken after it", () => {
  let entries = 0;
  const parser = new TarParser({ entry: () => void entries++ });
  const bad = header({ checksum: "000000\0 " });
  expect(() => parser.write(bad)).toThrow("checksum");
  expect(() => parser.write(header({}))).toThrow("checksum");
  expect(() => parser.end()).toThrow("checksum");
  expect(entries).toBe(0);
});

test("an error of the handler comes out as it is", () => {
  const error = new Error("mine");
  const parser = new TarParser({
    entry() {
      throw error;
    },
  });
  expect(() => parser.write(archive(header({})))).toThrow(error);
});

test("without a sink the content is skipped, and headers in it are not seen", () => {
  const inner = archive(header({ name: "inner" }));
  const paths: string[] = [];
  const parser = new TarParser({ entry: (entry) => void paths.push(entry.path) });
  parser.write(archive(member({ name: "outer" }, inner), header({ name: "next" })));
  parser.end();
  expect(paths).toEqual(["outer", "next"]);
});

test("the sink is asked for only when a regular file has content", () => {
  let writes = 0;
  const parser = new TarParser({
    entry: () => ({
      write: () => void writes++,
      end: () => void writes++,
    }),
  });
  parser.write(archive(header({}), header({ name: "d", type: "5" })));
  parser.end();
  expect(writes).toBe(0);
});

test("content is handed on without copying", () => {
  const chunk = archive(member({ name: "f" }, "x".repeat(2000)));
  const seen: Uint8Array[] = [];
  const parser = new TarParser({
    entry: () => ({ write: (piece) => void seen.push(piece), end: () => {} }),
  });
  parser.write(chunk);
  expect(seen).toHaveLength(1);
  expect(seen[0]!.buffer).toBe(chunk.buffer);
  expect(seen[0]!.byteOffset).toBe(chunk.byteOffset + 512);
});

test("zeros may follow the end marker, to any length", () => {
  const bytes = Buffer.concat([archive(header({})), Buffer.alloc(10_000 + 7)]);
  expect(readTar(bytes)).toHaveLength(1);
});

test("an archive of an end marker only is empty", () => {
  expect(readTar(Buffer.alloc(1024))).toEqual([]);
});

/** An archive with every kind of header, to be cut anywhere. */
const everything = archive(
  pax({ comment: "global" }, "g"),
  header({ name: "d/", type: "5" }),
  member({ name: "d/a" }, "a".repeat(513)),
  pax({ path: "d/long", mtime: "1.5", "SCHILY.xattr.user.x": "\0\xff" }),
  member({ name: "short" }, "0123456789"),
  longName("l".repeat(600)),
  header({ name: "l", type: "2", linkName: "t", magic: GNU_MAGIC }),
  pax({
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "d/sparse",
    "GNU.sparse.realsize": "5000",
  }),
  member({ name: "GNUSparseFile.0/sparse" }, `2\n10\n5\n4000\n3\n`.padEnd(512, "\0") + "HELLOend"),
  header({ name: "d/z", type: "1", linkName: "d/a" }),
);

test("chunking does not matter", () => {
  const whole = readTar(everything);
  expect(whole).toHaveLength(6);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1200 }), (chunkSize) => {
      expect(readTar(everything, { chunkSize })).toEqual(whole);
    }),
    { numRuns: 40 * slow },
  );
  expect(readTar(everything, { chunkSize: 1 })).toEqual(whole);
});

test("an archive cut anywhere in a block is refused", () => {
  for (let end = 37; end < everything.length; end += 37) {
    if (end % 512 === 0) continue;
    expect(() => readTar(everything.subarray(0, end)), `cut at ${end}`).toThrow(FormatError);
  }
  expect(() => readTar(everything.subarray(0, everything.length - 1))).toThrow(FormatError);
});

test("any change of a byte of a header gives entries or FormatError", () => {
  const bytes = Buffer.from(everything);
  fc.assert(
    fc.property(
      fc.nat(bytes.length / 512 - 1),
      fc.nat(511),
      fc.nat(255),
      fc.boolean(),
      (block, at, value, fix) => {
        const changed = Buffer.from(bytes);
        changed[block * 512 + at] = value;
        if (fix) fixChecksum(changed, block * 512);
        expectValueOrFormatError(() => readTar(changed));
      },
    ),
    { numRuns: 1500 * slow },
  );
});

test("any fields with a right checksum give an entry or FormatError", () => {
  const field = (max: number) =>
    fc.oneof(
      fc.string({
        unit: fc.constantFrom("0", "7", "8", " ", "\0", "\x80", "\xff", "/"),
        maxLength: max,
      }),
      fc.nat(0o7777),
    );
  fc.assert(
    fc.property(
      fc.record({
        name: fc.string({ unit: "binary-ascii", maxLength: 100 }),
        mode: field(8),
        uid: field(8),
        gid: field(8),
        size: field(12),
        mtime: field(12),
        type: fc.constantFrom(..."\x000123456789xgLKSDMVNX".split("")),
        linkName: fc.string({ unit: "binary-ascii", maxLength: 100 }),
        magic: fc.constantFrom("ustar\x0000", GNU_MAGIC, V7_MAGIC, "ustarx", "ustar\0  "),
        deviceMajor: field(8),
        deviceMinor: field(8),
        prefix: fc.string({ unit: "binary-ascii", maxLength: 155 }),
      }),
      fc.uint8Array({ maxLength: 600 }),
      (fields, content) => {
        expectValueOrFormatError(() => readTar(archive(member(fields, content))));
      },
    ),
    { numRuns: 1500 * slow },
  );
});

test("any pax records give an entry or FormatError", () => {
  const key = fc.constantFrom(
    "path",
    "linkpath",
    "size",
    "uid",
    "mtime",
    "SCHILY.xattr.user.x",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.realsize",
    "GNU.sparse.size",
    "GNU.sparse.numblocks",
    "GNU.sparse.map",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "GNU.sparse.name",
    "other",
  );
  const value = fc.oneof(
    fc.constantFrom("0", "1", "2", "512", "0,1", "0,1,2,3", "-1", "1.5"),
    fc.string({ unit: "binary-ascii", maxLength: 20 }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(key, value), { maxLength: 6 }),
      fc.string({ unit: "binary-ascii", maxLength: 5 }),
      fc.uint8Array({ maxLength: 600 }),
      (records, garbage, content) => {
        const body = records.map(([k, v]) => paxRecord(k, v)).join("") + garbage;
        expectValueOrFormatError(() => readTar(archive(pax(body), member({}, content))));
      },
    ),
    { numRuns: 1500 * slow },
  );
});

test("any bytes give entries or FormatError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
      expectValueOrFormatError(() => readTar(bytes));
    }),
    { numRuns: 200 * slow },
  );
});

test("memory does not depend on the sizes of files", () => {
  let bytes = 0;
  const parser = new TarParser({
    entry: () => ({ write: (chunk) => void (bytes += chunk.length), end: () => {} }),
  });
  const size = 3 * 2 ** 30;
  parser.write(header({ name: "big", size }));
  const chunk = new Uint8Array(2 ** 20);
  for (let at = 0; at < size; at += chunk.length) parser.write(chunk);
  parser.write(new Uint8Array(1024));
  parser.end();
  expect(bytes).toBe(size);
  expect(parser.offset).toBe(512 + size + 1024);
});

test("xattrs are limited by name, value and sum, each inclusively", () => {
  const name = (length: number) => `SCHILY.xattr.${"n".repeat(length)}`;
  const value = (length: number) => "v".repeat(length);
  const read = (records: [string, string][]) => () => only(pax(records), header({}));
  const { xattrNameBytes, xattrValueBytes, xattrInodeBytes } = limits;
  expect(read([[name(xattrNameBytes), ""]])).not.toThrow();
  expect(read([[name(xattrNameBytes + 1), ""]])).toThrow("expected a name of at most 255 bytes");
  expect(read([[name(xattrInodeBytes - xattrValueBytes), value(xattrValueBytes)]])).not.toThrow();
  expect(read([[name(2), value(xattrValueBytes)]])).toThrow("bytes of xattrs");
  expect(read([[name(1), value(xattrValueBytes + 1)]])).toThrow("expected a value of at most");
  const half = value(xattrInodeBytes / 2);
  expect(
    read([
      [name(1), half],
      [name(2), half],
    ]),
  ).toThrow("bytes of xattrs");
  expect(read([["SCHILY.xattr.", ""]])).toThrow("expected a name after the prefix");
});

function expectValueOrFormatError(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}
