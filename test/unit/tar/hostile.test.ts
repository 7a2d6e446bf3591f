/**
 * Archives made to be read differently by different parsers, or to hurt: each has one answer.
 *
 * Spec: docs/hostile-inputs.md, "C. Layers".
 */
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
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

const end = Buffer.alloc(1024);

function refused(bytes: Uint8Array, code: FormatError["code"], message?: string | RegExp): void {
  let error: unknown;
  try {
    readTar(bytes);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).code).toBe(code);
  if (message !== undefined) expect((error as FormatError).message).toMatch(message);
}

const paths = (bytes: Uint8Array) => readTar(bytes).map(({ path }) => path);

describe("numbers", () => {
  const uid = (text: string) => readTar(archive(header({ uid: text })))[0]!.uid;

  test.each([" \0 ", "\0\0 \0", "\x000\0", " \x00000 ", "  0 \0 ", "     \0 "])(
    "of spaces, NULs and zeros, as %j, are 0 as all readers take them",
    (text) => {
      expect(uid(text)).toBe(0);
      expect(uid(text.padEnd(8, " "))).toBe(0);
    },
  );

  test.each(["        ", "\x007\0", "\x000\x007", " \0x", "\x000 0\0", "\x00\t"])(
    "such as %j are refused, which readers take for different ones",
    (text) => refused(archive(header({ uid: text })), "MALFORMED", "uid: expected octal"),
  );

  test("in base-256 begin with 0x80 or 0xff, as GNU tar and Python have them", () => {
    expect(uid(base256(5n, 8))).toBe(5);
    for (const first of ["\x81", "\xfe", "\xc0"]) {
      const text = first + base256(5n, 8).slice(1);
      refused(archive(header({ uid: text })), "OUT_OF_RANGE", "uid: expected 0 to");
      refused(archive(header({ mode: text })), "MALFORMED", "mode: expected a base-256 number");
      refused(archive(header({ deviceMajor: text })), "MALFORMED", "devmajor: expected a base-256");
    }
  });
});

describe("the slash at the end of the name of an entry without a type", () => {
  const plain = header({ name: "d", type: "\0" });
  const slash = header({ name: "d/", type: "\0" });

  test("makes a directory of it when it stands in the header and in the name that counts", () => {
    const types = (...members: Uint8Array[]) =>
      readTar(archive(...members)).map(({ type }) => type);
    expect(types(plain, slash)).toEqual(["file", "directory"]);
    expect(types(pax({ path: "x" }), plain, longName("x/"), slash)).toEqual(["file", "directory"]);
    expect(types(pax({ path: "x/" }), slash)).toEqual(["directory"]);
  });

  test("is refused in one of them, as readers look at one or the other", () => {
    for (const bytes of [archive(pax({ path: "x/" }), plain), archive(longName("x"), slash)]) {
      refused(bytes, "AMBIGUOUS", 'name: expected a "/" at the end in both');
    }
  });
});

describe("sizes", () => {
  // docs/hostile-inputs.md, 59 (CVE-2025-62518): the header says 0, and what follows looks like a header.
  const smuggled = archive(
    pax({ size: "1024" }),
    header({ name: "outer", size: 0 }),
    header({ name: "hidden" }),
    Buffer.alloc(512, "x"),
    header({ name: "next" }),
  );

  test("a pax size is used for reading and for skipping", () => {
    const warnings: string[] = [];
    const entries = readTar(smuggled, { warn: (message) => warnings.push(message) });
    expect(entries.map(({ path, size }) => [path, size])).toEqual([
      ["outer", 1024],
      ["next", 0],
    ]);
    expect(entries[0]!.content).toHaveLength(1024);
    expect(warnings).toEqual([
      'tar entry "outer" at 1024: size: the pax header says 1024, the header 0; taking the pax header\'s',
    ]);
  });

  test("a pax size that differs from the header's is refused when strict", () => {
    expect(() => readTar(smuggled, { strict: true })).toThrow(
      'tar entry "outer" at 1024: size: the pax header says 1024, the header 0',
    );
    const same = archive(pax({ size: "3" }), member({}, "abc"));
    expect(readTar(same, { strict: true })).toHaveLength(1);
  });

  test("a pax size that no header can hold does not contradict the header", () => {
    const size = 0o100000000000;
    for (const inHeader of [0, 5]) {
      const parser = new TarParser({ entry: () => undefined }, { strict: true });
      parser.write(Buffer.concat([pax({ size: String(size) }), header({ size: inHeader })]));
    }
  });

  // docs/hostile-inputs.md, 60
  test.each(["L", "K", "x", "g"])("a pax size before a %s header is refused", (type) => {
    const bytes = archive(pax({ size: "9" }), member({ type }, paxRecord("a", "b")), header({}));
    refused(bytes, "AMBIGUOUS", "expected an entry after a pax header");
  });

  test("other pax records stand before a long name as well as behind it, but not before another pax header", () => {
    const records = pax({ mtime: "7" });
    const link = header({ type: "2", linkName: "t" });
    for (const order of [
      [records, longName("n"), longName("l", "K")],
      [longName("n"), records, longName("l", "K")],
      [longName("n"), longName("l", "K"), records],
    ]) {
      const [entry] = readTar(archive(...order, link));
      expect(entry).toMatchObject({ path: "n", linkPath: "l", mtimeSeconds: 7n });
    }
    for (const type of ["x", "g"] as const) {
      refused(
        archive(records, pax({ comment: "x" }, type), link),
        "AMBIGUOUS",
        "after a pax header",
      );
    }
  });

  // docs/hostile-inputs.md, 67
  test.each(["-1", "9223372036854775808", "0x10", "1.5", "", " 1", "1 ", "+1"])(
    "the pax size %j is refused",
    (size) => {
      expect(() => readTar(archive(pax({ size }), header({})))).toThrow('pax record "size"');
    },
  );

  test.each([
    ["010", 10],
    ["-0", 0],
    ["00", 0],
  ])("the pax size %j is read", (size, expected) => {
    const content = "x".repeat(expected);
    expect(readTar(archive(pax({ size }), member({}, content)))[0]!.size).toBe(expected);
  });

  // docs/hostile-inputs.md, 68
  test("a base-256 size that is negative or over 2^53 is refused", () => {
    refused(archive(header({ size: base256(-1n, 12) })), "OUT_OF_RANGE", "size: expected 0 to");
    refused(archive(header({ size: base256(-512n, 12) })), "OUT_OF_RANGE");
    refused(archive(header({ size: base256(1n << 53n, 12) })), "OUT_OF_RANGE");
    refused(archive(header({ size: base256(1n << 94n, 12) })), "OUT_OF_RANGE");
    // 2^53 - 1 is a size; there is only no content.
    refused(archive(header({ size: base256((1n << 53n) - 1n, 12) })), "TRUNCATED");
  });

  // docs/hostile-inputs.md, 74 and 75
  test.each([
    ["5", "directory"],
    ["1", "hardlink"],
    ["2", "symlink"],
    ["3", "character"],
    ["4", "block"],
    ["6", "fifo"],
  ])("a pax size of 512 on type %s (%s) is refused", (type, name) => {
    const fields = { name: "d", type, linkName: "t", deviceMajor: 1, deviceMinor: 1 };
    const hidden = header({ name: "hidden" });
    const bytes = archive(pax({ size: "512" }), header(fields), hidden);
    refused(bytes, "AMBIGUOUS", `0 for a ${name} in a pax header, got 512`);
    expect(paths(archive(pax({ size: "0" }), header({ ...fields, size: 512 }), hidden))).toEqual([
      "d",
      "hidden",
    ]);
  });

  test("the size of a hard link is refused in an archive that has had a pax header", () => {
    const link = header({ name: "d", type: "1", linkName: "t", size: 512 });
    const hidden = header({ name: "hidden" });
    expect(paths(archive(link, hidden, pax({}), hidden))).toEqual(["d", "hidden", "hidden"]);
    for (const meta of [pax({}), pax({ comment: "x" }, "g")]) {
      refused(archive(meta, link, hidden), "AMBIGUOUS", "hardlink in a pax archive, got 512");
      refused(archive(meta, header({}), link, hidden), "AMBIGUOUS", "hardlink in a pax archive");
    }
  });
});

describe("pax headers", () => {
  // docs/hostile-inputs.md, 61
  test.each(["path", "linkpath"])("a NUL in %s is refused", (key) => {
    const bytes = archive(pax({ [key]: "good\0evil" }), header({ type: "2", linkName: "t" }));
    refused(bytes, "MALFORMED", /expected a name without NUL, got "good\\x00evil"/);
  });

  test("a NUL in a key is refused", () => {
    refused(archive(pax({ "pa\0th": "x" }), header({})), "MALFORMED", "NUL in the key");
  });

  // docs/hostile-inputs.md, 62
  test("a name of digits only is accepted", () => {
    expect(paths(archive(pax({ path: "12345" }), header({})))).toEqual(["12345"]);
  });

  // docs/hostile-inputs.md, 63
  test.each([
    ["a length that is too short", "5 a=bc\n"],
    ["a length that is too long", "9 a=b\n"],
    ["no =", "7 path\n"],
    ["= of the next record only", "6 path\n8 a=bc\n"],
    ["no newline", "6 a=b "],
    ["length 0", "0 a=b\n"],
    ["no length", " a=b\n"],
    ["a length over the header", "99999999999 a=b\n"],
    ["a leading zero", "06 a=b\n"],
    ["a negative length", "-6 a=b\n"],
    ["a hexadecimal length", "0x6 a=b\n"],
    ["a space before the length", " 6 a=b\n"],
    ["a tab after the length", "6\ta=b\n"],
    ["an empty key", "5 =b\n"],
    ["NULs after the records", `${paxRecord("a", "b")}\0\0`],
    ["text after the records", `${paxRecord("a", "b")}x`],
    ["a length alone", "6"],
    ["a length and a space", "6 "],
  ])("a record with %s is refused", (_, body) => {
    refused(archive(pax(body), header({})), "MALFORMED", "pax record at byte");
  });

  // docs/hostile-inputs.md, 64
  test("of two records of one key the later counts, but those of sparse files come once", () => {
    const twice = (key: string, first: string, second: string) => [
      [key, first] as const,
      [key, second] as const,
    ];
    const records = [
      ...twice("path", "a", "b"),
      ...twice("uid", "1", "2"),
      ...twice("SCHILY.xattr.user.x", "first", "second"),
      ...twice("comment", "x", "x"),
    ];
    const [entry] = readTar(archive(pax(records), header({})));
    expect(entry).toMatchObject({ path: "b", uid: 2 });
    expect([...entry!.xattrs]).toEqual([["user.x", "second"]]);
    refused(archive(pax(twice("uid", "", "2")), header({})), "MALFORMED", "decimal number");
    for (const [key, value] of [
      ["GNU.sparse.map", "0,0"] as const,
      ["GNU.sparse.name", "n"] as const,
    ]) {
      refused(archive(pax(twice(key, value, value)), header({})), "AMBIGUOUS", "got twice");
    }
  });

  test("an xattr that comes again does not count twice towards their sum", () => {
    const value = "v".repeat(40_000);
    const records = [1, 2, 3].map(() => ["SCHILY.xattr.user.x", value] as const);
    expect(readTar(archive(pax(records), header({})))[0]!.xattrs.size).toBe(1);
  });

  test.each(["atime", "ctime"])("a malformed %s is refused, though it is not used", (key) => {
    refused(archive(pax({ [key]: "soon" }), header({})), "MALFORMED", key);
    refused(archive(pax({ [key]: "9".repeat(20) }), header({})), "OUT_OF_RANGE", key);
    expect(readTar(archive(pax({ [key]: "-1.5" }), header({})))).toHaveLength(1);
  });

  test.each(["uname", "gname"])("a NUL in %s is refused", (key) => {
    refused(archive(pax({ [key]: "a\0b" }), header({})), "MALFORMED", key);
  });

  test("an empty path is refused, and an empty link path of a link", () => {
    refused(archive(pax({ path: "" }), header({})), "MALFORMED", "name: expected a name, got none");
    const link = header({ type: "2", linkName: "t" });
    refused(archive(pax({ linkpath: "" }), link), "MALFORMED", "link name: expected a name");
    expect(readTar(archive(pax({ linkpath: "" }), header({})))[0]!.linkPath).toBe("");
  });

  test("an extended header's own numbers must be numbers", () => {
    for (const field of ["mode", "uid", "gid", "mtime", "deviceMajor", "deviceMinor"]) {
      const meta = member({ name: "p", type: "x", [field]: "_1" }, paxRecord("comment", "x"));
      refused(archive(meta, header({})), "MALFORMED", "expected octal digits");
    }
  });

  // docs/hostile-inputs.md, 65
  test.each([
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "SCHILY.xattr.user.x",
    "SCHILY.realsize",
    "GNU.sparse.name",
  ])("%s in a global header is refused", (key) => {
    refused(archive(pax({ [key]: "1" }, "g"), header({})), "AMBIGUOUS", "comments only");
  });

  test("comments in a global header are accepted, and change nothing", () => {
    const bytes = archive(pax({ comment: "0123abcd", "canonical-tar": "1" }, "g"), header({}));
    expect(paths(bytes)).toEqual(["file"]);
  });

  // docs/hostile-inputs.md, 66
  test("a header of 1 MiB is read, and one byte more is refused", () => {
    const fill = (length: number) => paxRecord("comment", "c".repeat(length - 17));
    const largest = fill(limits.paxBytes);
    expect(largest).toHaveLength(limits.paxBytes);
    expect(paths(archive(pax(largest), header({})))).toEqual(["file"]);
    refused(archive(pax(fill(limits.paxBytes + 1)), header({})), "LIMIT", "1048576 bytes");
    const name = "n".repeat(limits.paxBytes);
    refused(archive(longName(name), header({ magic: GNU_MAGIC })), "LIMIT", "1048576 bytes");
  });

  test("a header that claims more than memory is refused before its body is read", () => {
    refused(header({ type: "x", size: base256(1n << 52n, 12) }), "LIMIT");
  });

  test("16 extended headers for an entry are read, 17 are refused", () => {
    const globals = Array.from({ length: limits.metaHeaders }, () => pax({ comment: "x" }, "g"));
    expect(paths(archive(...globals, header({})))).toEqual(["file"]);
    refused(archive(...globals, pax({}), header({})), "LIMIT", "at most 16 extended headers");
    // They count anew for every entry.
    expect(paths(archive(...globals, header({}), ...globals, header({})))).toHaveLength(2);
  });

  test.each([
    ["pax", pax({ path: "x" })],
    ["global", pax({ comment: "x" }, "g")],
    ["long name", longName("x")],
  ])("a %s header at the end without an entry is refused", (_, meta) => {
    refused(archive(header({}), meta), "MALFORMED", "expected an entry after an extended header");
  });

  test("two names for one entry are refused", () => {
    refused(archive(longName("a"), longName("b"), header({})), "AMBIGUOUS", 'got "a" and "b"');
    refused(archive(longName("a", "K"), longName("b", "K"), header({})), "AMBIGUOUS", "link name");
    expect(paths(archive(longName("a"), longName("a"), header({})))).toEqual(["a"]);
    refused(
      archive(longName("a"), pax({ path: "b" }), header({})),
      "AMBIGUOUS",
      "got one in a pax",
    );
    const link = header({ type: "2", linkName: "t" });
    refused(archive(longName("a", "K"), pax({ linkpath: "b" }), link), "AMBIGUOUS");
  });

  test("a long name ends at its first NUL, and is not empty", () => {
    expect(paths(archive(longName("name\0rest"), header({})))).toEqual(["name"]);
    refused(archive(longName(""), header({})), "MALFORMED", "expected a name, got none");
  });

  test("a root without a type is refused, for some tools make a file of it", () => {
    for (const name of ["/", "//"]) {
      refused(archive(header({ name, type: "\0" })), "AMBIGUOUS", 'expected more than "/"');
    }
    const roots = archive(header({ name: "./", type: "\0" }), header({ name: "/", type: "5" }));
    expect(readTar(roots).map(({ type }) => type)).toEqual(["directory", "directory"]);
  });

  // docs/hostile-inputs.md, 76
  test.each(["L", "K"])("a name (%s) that goes on in the padding is refused", (type) => {
    const link = header({ type: "2", linkName: "t" });
    const named = (size: number, text: string) => {
      const meta = Buffer.from(member({ type, magic: GNU_MAGIC, size }, text));
      return archive(meta, link);
    };
    refused(named(1, "d/s"), "AMBIGUOUS", "expected a NUL behind its 1 bytes, got byte 47");
    refused(named(511, "d".repeat(512)), "AMBIGUOUS", "expected a NUL behind its 511 bytes");
    for (const [size, text, name] of [
      [1, "d\0s", "d"],
      [2, "d\0s", "d"],
      [512, "d".repeat(512), "d".repeat(512)],
    ] as const) {
      const [entry] = readTar(named(size, text));
      expect(type === "L" ? entry!.path : entry!.linkPath).toBe(name);
    }
  });

  test.each(["x", "g"] as const)("records (%s) that go on in the padding are refused", (type) => {
    const first = paxRecord("comment", "x");
    const meta = (text: string) => member({ type, size: first.length }, text);
    const second = first + paxRecord("path", "other");
    refused(archive(meta(second), header({})), "AMBIGUOUS", "expected a NUL behind its 13 bytes");
    expect(paths(archive(meta(`${first}\0${second}`), header({})))).toEqual(["file"]);
  });
});

describe("headers", () => {
  // docs/hostile-inputs.md, 69
  test.each([
    ["mode", "\0 644 \0"],
    ["mode", "\t644\0"],
    ["mode", "00006448"],
    ["mode", "0000648\0"],
    ["mode", "644 \0jun"],
    ["mode", "\0junk"],
    ["mode", "-000001\0"],
    ["mode", "        "],
    ["mode", "0x1a4\0"],
    ["uid", "000000a\0"],
    ["uid", "1234567\xb9"],
    ["gid", "+00001\0"],
    ["size", "0000000000 1"],
    ["mtime", "-0000000001\0"],
    ["mtime", "1e9"],
    ["checksum", "_12345\0 "],
  ])("the %s %j is refused", (name, value) => {
    refused(archive(header({ [name]: value })), "MALFORMED", `${name}: expected octal digits`);
  });

  test.each(["0000644\0", "0000644 ", "644\0", "644 \0", "644  \0\0\0", "644\0 \0 ", "", "\0\0"])(
    "the mode %j is read",
    (mode) => {
      const [entry] = readTar(archive(header({ mode })));
      expect(entry!.mode).toBe(mode.startsWith("\0") || mode === "" ? 0 : 0o644);
    },
  );

  test.each(["   644 \0", "  644\0\0\0", "     644", "644\0junk", "  644\0x "])(
    "the mode %j is read, with spaces before it or anything behind its NUL",
    (mode) => {
      expect(readTar(archive(header({ mode })))[0]!.mode).toBe(0o644);
    },
  );

  test("the checksum may have spaces before it", () => {
    const block = Buffer.from(header({}));
    const digits = block.toString("latin1", 148, 154).replace(/^0+/, "");
    block.write(`${digits.padStart(6)}\0 `, 148, "latin1");
    expect(paths(archive(block))).toEqual(["file"]);
  });

  test("digits may fill the field, which all tools read the same", () => {
    const [entry] = readTar(archive(header({ uid: "77777767", size: "000000000000" })));
    expect(entry!.uid).toBe(0o77777767);
  });

  // docs/hostile-inputs.md, 70
  test("a wrong checksum is refused", () => {
    refused(archive(header({ checksum: "001234\0 " })), "BAD_CHECKSUM", "checksum: expected 0");
    const changed = Buffer.from(archive(header({})));
    changed[0]!++;
    refused(changed, "BAD_CHECKSUM");
  });

  test.each(["ustar\0\0\0", "ustar\x0001", "ustar\0  "])(
    "the magic %j is ustar's, whatever version it states",
    (magic) => {
      expect(paths(archive(header({ magic, prefix: "dir" })))).toEqual(["dir/file"]);
    },
  );

  test.each(["ustar  1", "ustar 00", "USTAR\x0000", "\0ustar", "tar\0"])(
    "the magic %j is as good as none, without a prefix and device numbers",
    (magic) => {
      expect(paths(archive(header({ magic })))).toEqual(["file"]);
      refused(
        archive(header({ magic, prefix: "dir" })),
        "AMBIGUOUS",
        /prefix: expected none .* got "dir"/,
      );
      const device = header({ magic, type: "3", deviceMajor: 1, deviceMinor: 3 });
      refused(archive(device), "AMBIGUOUS", "expected a ustar or GNU header");
    },
  );

  test("a GNU header of a file with the map or the size of an old sparse file is refused", () => {
    for (const at of [386, 483]) {
      const place = "\0".repeat(at - 345);
      const sparse = { magic: GNU_MAGIC, prefix: `${place}00000001000` };
      const long = longName("name");
      refused(archive(header(sparse)), "AMBIGUOUS", "sparse map: expected none");
      refused(archive(long, header(sparse)), "AMBIGUOUS", "sparse map: expected none");
      expect(paths(archive(header({ ...sparse, type: "5" })))).toEqual(["file"]);
      expect(paths(archive(header({ ...sparse, magic: V7_MAGIC })))).toEqual(["file"]);
    }
  });

  test("a GNU header with something where others have a prefix is refused", () => {
    const prefix = "14567654321";
    refused(archive(header({ magic: GNU_MAGIC, prefix })), "AMBIGUOUS", "prefix: expected none");
    const meta = member({ type: "L", magic: GNU_MAGIC, prefix }, "name\0");
    expect(paths(archive(meta, header({ magic: GNU_MAGIC, prefix })))).toEqual(["name"]);
    expect(paths(archive(pax({ path: "x" }), header({ magic: "", prefix })))).toEqual(["x"]);
  });

  describe("of star", () => {
    const star = (prefix: string, times = "14567654321 14567654321 ") => {
      const block = header({ prefix: prefix.padEnd(131, "\0") + times });
      block.set(Buffer.from("tar\0"), 508);
      fixChecksum(block);
      return archive(block);
    };

    test("has a shorter prefix and times, and is read with or without its mark", () => {
      expect(paths(star("dir"))).toEqual(["dir/file"]);
      const prefix = "dir".padEnd(131, "\0") + "anything";
      expect(paths(archive(header({ prefix })))).toEqual(["dir/file"]);
    });

    test("is refused where others read a longer prefix, and with times that are none", () => {
      expect(paths(star("d".repeat(130)))).toEqual([`${"d".repeat(130)}/file`]);
      refused(star("d".repeat(131)), "AMBIGUOUS", "at most 130 bytes in a star header");
      refused(star("dir", "soon"), "MALFORMED", "atime");
    });
  });

  // docs/hostile-inputs.md, 86
  test.each([
    ["S", "an old GNU sparse file"],
    ["M", "another volume"],
    ["D", "incremental directory"],
    ["V", "volume label"],
    ["N", "old GNU long name"],
    ["X", "Solaris"],
    ["A", 'got "A"$'],
    ["8", 'got "8"$'],
    ["\xff", "got"],
  ])("type %j is refused", (type, message) => {
    refused(archive(header({ type, magic: GNU_MAGIC })), "UNSUPPORTED", new RegExp(message));
  });

  test("an old sparse file is refused with a hint", () => {
    expect(() => readTar(archive(header({ type: "S", magic: GNU_MAGIC })))).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("--format=posix") }),
    );
  });

  test("an empty name is refused, and an empty link name", () => {
    refused(archive(header({ name: "" })), "MALFORMED", "name: expected a name");
    refused(archive(header({ type: "2" })), "MALFORMED", "link name: expected a name");
    refused(archive(header({ type: "1" })), "MALFORMED", "link name: expected a name");
  });

  test("a device in a header without device numbers is refused", () => {
    refused(archive(header({ type: "3", magic: V7_MAGIC })), "AMBIGUOUS", "got v7's");
  });

  // docs/hostile-inputs.md, 88
  test("uid and gid have 32 bits", () => {
    expect(readTar(archive(header({ uid: base256(0xffff_ffffn, 8) })))[0]!.uid).toBe(0xffff_ffff);
    refused(archive(header({ uid: base256(1n << 32n, 8) })), "OUT_OF_RANGE", "uid: expected 0 to");
    refused(archive(header({ gid: base256(-1n, 8) })), "OUT_OF_RANGE", "gid: expected 0 to");
    refused(archive(pax({ uid: "4294967296" }), header({})), "OUT_OF_RANGE");
    refused(archive(pax({ gid: "-1" }), header({})), "MALFORMED");
  });

  test("numbers that an entry does not need must be numbers", () => {
    refused(archive(header({ deviceMajor: "junk" })), "MALFORMED", "devmajor");
    refused(archive(header({ type: "5", deviceMinor: "0x1" })), "MALFORMED", "devminor");
    const far = archive(pax({ mtime: "7" }), header({ mtime: base256(1n << 70n, 12) }));
    refused(far, "OUT_OF_RANGE", "mtime: expected a 64-bit number");
    for (const id of [-1n, 1n << 32n]) {
      const owned = archive(pax({ uid: "7" }), header({ uid: base256(id, 8) }));
      refused(owned, "OUT_OF_RANGE", "uid: expected 0 to 4294967295");
    }
    const both = archive(pax({ uid: "7" }), header({ uid: "x" }));
    refused(both, "MALFORMED", "uid: expected octal digits");
    for (const blank of ["        ", "\x00001\0", " \0"]) {
      expect(paths(archive(header({ deviceMajor: blank, deviceMinor: blank })))).toEqual(["file"]);
    }
    expect(readTar(archive(header({ deviceMajor: 0o777777 })))[0]!.rdev).toBe(0);
  });

  test("a mode keeps only its permissions", () => {
    expect(readTar(archive(header({ mode: 0o7777777 })))[0]!.mode).toBe(0o7777);
    expect(readTar(archive(header({ mode: base256(-5n, 8) })))[0]!.mode).toBe(0o7773);
    expect(readTar(archive(header({ mode: base256(1n << 53n, 8) })))[0]!.mode).toBe(0);
    for (const mark of ["\x81", "\x88", "\xc0", "\xfe"]) {
      const number = `${mark}\0\0\0\0\0\0\0`;
      const message = "expected a base-256 number that begins with 0x80 or 0xff";
      refused(archive(header({ mode: number })), "MALFORMED", `mode: ${message}`);
      refused(archive(header({ deviceMinor: number })), "MALFORMED", `devminor: ${message}`);
    }
  });

  test("a link name over 4096 bytes is refused", () => {
    const link = header({ type: "2", linkName: "t" });
    expect(readTar(archive(pax({ linkpath: "l".repeat(4096) }), link))).toHaveLength(1);
    refused(archive(pax({ linkpath: "l".repeat(4097) }), link), "LIMIT", "link name");
  });

  // docs/hostile-inputs.md, 82 and 83: what other systems confuse is different here.
  test("names are kept unchanged", () => {
    const names = ["e\xcc\x81", "\xc3\xa9", "A", "a", "ss", "\xc3\x9f", "C:../x", "C:foo", "a\\b"];
    const more = ["__proto__", "constructor", "toString", "..", "./x", "/x", "a//b"];
    const all = [...names, ...more];
    expect(paths(archive(...all.map((name) => header({ name }))))).toEqual(all);
  });
});

describe("the end", () => {
  // docs/hostile-inputs.md, 71
  test("an entry after a single zero block is refused", () => {
    const bytes = Buffer.concat([header({}), Buffer.alloc(512), header({ name: "x" }), end]);
    refused(bytes, "AMBIGUOUS", "expected a second zero block, got data");
  });

  // docs/hostile-inputs.md, 72
  test("an archive after the archive is refused", () => {
    const bytes = Buffer.concat([archive(header({})), archive(header({ name: "x" }))]);
    refused(bytes, "AMBIGUOUS", "tar archive at 1536: expected only zeros");
    const late = Buffer.concat([archive(header({})), Buffer.alloc(9000), Buffer.from("x")]);
    refused(late, "AMBIGUOUS", "tar archive at 10536");
  });

  // docs/hostile-inputs.md, 73
  test("an archive may end without its marker, or with half of it, or be empty", () => {
    expect(paths(Buffer.from(header({})))).toEqual(["file"]);
    expect(paths(member({}, "x".repeat(600)))).toEqual(["file"]);
    expect(paths(Buffer.concat([header({}), Buffer.alloc(512)]))).toEqual(["file"]);
    expect(paths(Buffer.alloc(512))).toEqual([]);
    expect(paths(Buffer.alloc(0))).toEqual([]);
  });

  test("an archive that ends in the middle of a block is refused", () => {
    refused(Buffer.concat([header({}), Buffer.alloc(256)]), "TRUNCATED", "at 512");
    refused(Buffer.concat([header({}), Buffer.alloc(1023)]), "TRUNCATED", "at 1535");
  });

  test("an archive whose end comes right after an extended header is refused", () => {
    refused(pax({ path: "x" }), "MALFORMED", "expected an entry after an extended header");
    refused(longName("x"), "MALFORMED", "expected an entry after an extended header");
  });

  test("an archive cut in a header, in content or in padding is refused", () => {
    const file = member({ name: "one" }, "x".repeat(600));
    refused(file.subarray(0, 300), "TRUNCATED", "tar header at 0");
    refused(file.subarray(0, 700), "TRUNCATED", 'tar entry "one" at 0');
    refused(file.subarray(0, 1200), "TRUNCATED", 'tar entry "one" at 0');
    const twice = Buffer.concat([file, file.subarray(0, 100)]);
    refused(twice, "TRUNCATED", "tar header at 1536: expected more, got the end of data at 1636");
    refused(pax({ path: "x" }).subarray(0, 515), "TRUNCATED", "tar header at 0");
  });

  // docs/hostile-inputs.md, 76
  test("padding that is not zero is skipped, and never part of the content", () => {
    const bytes = Buffer.concat([header({ size: 3 }), Buffer.alloc(512, "secret"), end]);
    expect(Buffer.from(readTar(bytes)[0]!.content!).toString()).toBe("sec");
  });
});

// docs/hostile-inputs.md, 84
test("many empty entries are read one by one, up to the limit", () => {
  const block = header({ name: "same" });
  const thousand = Buffer.concat(Array.from({ length: 1000 }, () => block));
  let entries = 0;
  const parser = new TarParser({ entry: () => void entries++ });
  const total = process.env["SLOW"] === "1" ? limits.inodes : 100_000;
  for (let i = 0; i < total / 1000; i++) parser.write(thousand);
  expect(entries).toBe(total);
  if (total === limits.inodes) {
    expect(() => parser.write(block)).toThrow(expect.objectContaining({ code: "LIMIT" }));
    return;
  }
  parser.write(end);
  parser.end();
});
