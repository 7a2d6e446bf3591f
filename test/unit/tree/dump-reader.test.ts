import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { FormatError } from "../../../src/errors.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { type Directory, HardLink, Inode, inodeOf } from "../../../src/tree/inode.ts";
import { composefsVectors, dumpBytes } from "../../support/composefs-vectors.ts";
import { randomDump } from "../../support/random-dump.ts";

const ROOT = "/ 4096 40755 1 0 0 0 0.0 - - -\n";
const runs = process.env["SLOW"] ? 2000 : 100;

const parse = (lines: string, options = {}) =>
  parseDump(Buffer.from(ROOT + lines, "latin1"), options);

/** The only entry that `line` adds. */
function entryOf(line: string, options = {}): Inode {
  const [entry] = parse(`${line}\n`, options).entries.values();
  return inodeOf(entry!);
}

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("fields", () => {
  const file = (fields: Partial<Record<"size" | "uid" | "gid" | "rdev" | "mtime", string>>) => {
    const { size = "0", uid = "0", gid = "0", rdev = "0", mtime = "0.0" } = fields;
    return entryOf(`/f ${size} 100644 1 ${uid} ${gid} ${rdev} ${mtime} - - -`);
  };

  test.each([
    ["0", 0n],
    ["+7", 7n],
    ["\t8", 8n],
    ["007", 7n],
    ["-1", 2n ** 64n - 1n],
    ["18446744073709551615", 2n ** 64n - 1n],
    ["99999999999999999999", 2n ** 64n - 1n],
    ["-99999999999999999999", 2n ** 64n - 1n],
    ["9007199254740993", 9007199254740993n],
    ["1000000000000000", 10n ** 15n],
  ])("SIZE %j is read as strtoull reads it", (size, expected) => {
    expect(file({ size }).size).toBe(expected);
  });

  test.each(["", "x", "1x", "0x10", "1.0", "--1", "1 1", "1e3"])("SIZE %j is refused", (size) => {
    expect(() => file({ size })).toThrow(FormatError);
  });

  test.each([
    ["1.1", 1n, 1], // two integers, not a fraction
    ["-5.7", -5n, 7],
    ["18446744073709551615.4294967296", -1n, 0],
    ["1700000000.1999999999", 1700000000n, 1999999999],
  ])("MTIME %j is two integers", (mtime, seconds, nanoseconds) => {
    expect(file({ mtime })).toMatchObject({
      mtimeSeconds: seconds,
      mtimeNanoseconds: nanoseconds,
    });
  });

  test("ids are cut to 32 bits, and a bad GID or RDEV is overlooked unless UID is 0", () => {
    expect(file({ uid: "4294967297", gid: "-1" })).toMatchObject({ uid: 1, gid: 0xffffffff });
    expect(file({ uid: "5", gid: "x", rdev: "y" })).toMatchObject({ uid: 5, gid: 0 });
    expect(() => file({ gid: "x" })).toThrow(FormatError);
    expect(() => file({ rdev: "y" })).toThrow(FormatError);
  });

  test("escapes stand for bytes, and NUL ends a path but not content", () => {
    const root = parse(
      "/\\x61\\\\\\n\xff\\x00c 2 100644 1 0 0 0 0.0 - \\xFf\\x00 - user.\\x3d=\\t=\n",
    );
    const [name] = root.entries.keys();
    const entry = inodeOf(root.entries.get(name!)!);
    expect(name).toBe("a\\\n\xff");
    expect(Buffer.from(entry.content!)).toEqual(Buffer.from([0xff, 0]));
    expect([...entry.xattrs]).toEqual([["user.=", "\t="]]);
  });

  test("content, payload and digest belong to the types that have them", () => {
    const digest = "ab".repeat(32);
    const path = `ab/${"ab".repeat(31)}`;
    for (const written of [digest, digest.toUpperCase(), `${digest}00`]) {
      const external = entryOf(`/f 9 100644 1 0 0 0 0.0 ${path} - ${written}`);
      expect([external.digest, external.payload]).toEqual([digest, path]);
      expect(external.followsDigest).toBe(true);
    }
    const bare = entryOf(`/f 9 100644 1 0 0 0 0.0 - - ${digest}`);
    expect([bare.digest, bare.payload, bare.followsDigest]).toEqual([digest, undefined, false]);
    const elsewhere = entryOf(`/f 9 100644 1 0 0 0 0.0 x - ${digest}`);
    expect([elsewhere.payload, elsewhere.followsDigest]).toEqual(["x", false]);
    const inline = entryOf("/f 3 100644 1 0 0 0 0.0 x a\\x00\\x2d -");
    expect(Buffer.from(inline.content!)).toEqual(Buffer.from("a\0-"));
    expect(inline.digest).toBeUndefined();
    expect(entryOf("/l 0 120777 1 0 0 0 0.0 t\\x00x - -").target).toBe("t");
    expect(entryOf("/d 5 40755 7 0 0 0 0.0 x - -")).toMatchObject({ nlink: 7 });
    expect(entryOf("/c 5 20644 1 0 0 259 0.0 - - -")).toMatchObject({ rdev: 259, size: 5n });
  });

  test("a digest of the other algorithm has its own length", () => {
    const digest = "0f".repeat(64);
    const line = `/f 9 100644 1 0 0 0 0.0 - - ${digest}`;
    expect(entryOf(line, { algorithm: "sha512" }).digest).toBe(digest);
    expect(entryOf(line).digest).toBe(digest.slice(0, 64));
    const short = `/f 9 100644 1 0 0 0 0.0 - - ${digest.slice(0, 64)}`;
    expect(() => entryOf(short, { algorithm: "sha512" })).toThrow(FormatError);
  });

  test.each(["zz", "ab", "0".repeat(63), `${"0".repeat(63)}g`, ""])(
    "digest %j of an external file is refused",
    (digest) => {
      expect(() => entryOf(`/f 9 100644 1 0 0 0 0.0 - - ${digest}`)).toThrow(FormatError);
    },
  );
});

describe("paths and links", () => {
  test("a missing first slash and repeated slashes do not matter", () => {
    const root = parse(
      "d 0 40755 1 0 0 0 0.0 - - -\nd/e 0 40755 1 0 0 0 0.0 - - -\n//d//e///f 0 100644 1 0 0 0 0.0 - - -\n",
    );
    const d = root.entries.get(ascii("d")) as Directory;
    const e = d.entries.get(ascii("e")) as Directory;
    expect([...e.entries.keys()]).toEqual(["f"]);
  });

  test("names such as __proto__ are ordinary names", () => {
    const root = parse(
      "/__proto__ 0 40755 1 0 0 0 0.0 - - -\n/__proto__/constructor 0 100644 1 0 0 0 0.0 - - -\n",
    );
    expect([...root.entries.keys()]).toEqual(["__proto__"]);
  });

  test("links lead through links to the inode, whether it comes earlier or later", () => {
    const link = (path: string, to: string) => `${path} 0 @100644 1 0 0 0 0.0 ${to} - -\n`;
    const root = parse(
      link("/a", "/b") + link("/b", "c") + "/c 0 100644 1 0 0 0 0.0 - - -\n" + link("/d", "//a"),
    );
    const target = root.entries.get(ascii("c"));
    for (const name of ["a", "b", "d"]) {
      const entry = root.entries.get(ascii(name));
      expect(entry).toBeInstanceOf(HardLink);
      expect((entry as HardLink).target).toBe(target);
    }
    expect([...root.entries.keys()]).toEqual(["a", "b", "c", "d"]);
  });

  // mkcomposefs loops for ever on the first of these.
  test.each([["b c", "c b", "a b"], ["a a"], ["a b", "b c", "c a"]])(
    "a circle of links is refused: %s %s %s",
    (...links) => {
      const lines = links.map((pair) => {
        const [from, to] = pair.split(" ");
        return `/${from} 0 @100644 1 0 0 0 0.0 /${to} - -\n`;
      });
      expect(() => parse(lines.join(""))).toThrow(FormatError);
    },
  );

  test("a long chain of links takes linear time", () => {
    const count = 20_000;
    let lines = "";
    for (let i = 0; i < count; i++) lines += `/l${i} 0 @100644 1 0 0 0 0.0 /l${i + 1} - -\n`;
    lines += `/l${count} 0 100644 1 0 0 0 0.0 - - -\n`;
    const root = parse(lines);
    expect((root.entries.get(ascii("l0")) as HardLink).target).toBe(
      root.entries.get(ascii(`l${count}`)),
    );
  });

  test("errors name the line", () => {
    const error = thrownBy(() =>
      parse("/a 0 100644 1 0 0 0 0.0 - - -\n/a/b 0 100644 1 0 0 0 0.0 - - -\n"),
    );
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(/^dump line 3: .*parent/);
  });
});

describe("strict mode", () => {
  test("requires the last newline, except in a file of exactly 65536 bytes", () => {
    const line = "/f 0 100644 1 0 0 0 0.0 - - - user.a=";
    const strict = { strict: true };
    const bytes = (length: number) =>
      Buffer.from(ROOT + line + "v".repeat(length - ROOT.length - line.length), "latin1");
    expect(() => parseDump(bytes(200))).not.toThrow();
    expect(() => parseDump(bytes(200), strict)).toThrow(FormatError);
    // The value would be too long for one xattr, so the size is reached by a path with slashes.
    const long = Buffer.from(
      `${ROOT}${"/".repeat(65536 - ROOT.length - 28)}f 0 100644 1 0 0 0 0.0 - - -`,
    );
    expect(long.length).toBe(65536);
    expect(() => parseDump(long, strict)).not.toThrow();
  });
});

test("chunking does not matter", () => {
  const dump = randomDump(150, "chunks", "chaos");
  const whole = writeImage(parseDump(dump));
  fc.assert(
    fc.property(fc.array(fc.nat(dump.length), { maxLength: 8 }), (cuts) => {
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const cut of [...cuts.toSorted((a, b) => a - b), dump.length]) {
        chunks.push(dump.subarray(at, cut));
        at = cut;
      }
      expect(Buffer.compare(writeImage(parseDump(chunks)), whole)).toBe(0);
    }),
    { numRuns: 20 },
  );
});

test("any bytes give a tree or FormatError", () => {
  const dumps = composefsVectors()
    .cases.filter(({ dump }) => dump.length < 2000)
    .map(({ dump }) => dumpBytes(dump));
  fc.assert(
    fc.property(
      fc.constantFrom(...dumps),
      fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 4 }),
      (dump, changes) => {
        const bytes = Uint8Array.from(dump);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const error = thrownBy(() => writeImage(parseDump(bytes)));
        if (error !== undefined) expect(error).toBeInstanceOf(FormatError);
      },
    ),
    { numRuns: runs * 10 },
  );
});
