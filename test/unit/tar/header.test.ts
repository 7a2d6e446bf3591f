/** One header block: what its writer put into each field comes out again, and any bytes give an answer. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import {
  BLOCK_SIZE,
  deviceOf,
  formatOf,
  gidOf,
  isZeroBlock,
  linkOf,
  modeOf,
  mtimeOf,
  nameOf,
  sizeOf,
  typeFlagOf,
  uidOf,
  verifyChecksum,
} from "../../../src/tar/header.ts";
import { GNU_MAGIC, V7_MAGIC, base256, fixChecksum, header } from "../../support/tar.ts";

const octal = (digits: number) => fc.integer({ min: 0, max: 8 ** digits - 1 });
const word = fc.stringMatching(/^[a-z0-9._/-]{1,100}$/);

describe("a header", () => {
  test("gives back each field that was written, wherever the block lies", () => {
    const fields = fc.record({
      name: word,
      linkName: word,
      mode: octal(4),
      uid: octal(7),
      gid: octal(7),
      size: octal(11),
      mtime: octal(11),
      type: fc.constantFrom("0", "1", "2", "3", "5"),
    });
    fc.assert(
      fc.property(fields, fc.nat(3), (written, blocks) => {
        const at = blocks * BLOCK_SIZE;
        const bytes = new Uint8Array(at + BLOCK_SIZE);
        bytes.set(header(written), at);
        verifyChecksum(bytes, at);
        expect(formatOf(bytes, at)).toBe("ustar");
        expect({
          name: nameOf(bytes, at, "ustar"),
          linkName: linkOf(bytes, at),
          mode: modeOf(bytes, at),
          uid: uidOf(bytes, at),
          gid: gidOf(bytes, at),
          size: sizeOf(bytes, at),
          mtime: Number(mtimeOf(bytes, at)),
          type: String.fromCharCode(typeFlagOf(bytes, at)),
        }).toEqual(written);
      }),
    );
  });

  test("joins prefix and name in ustar, and has no prefix in the other two layouts", () => {
    const block = header({ prefix: "usr/share", name: "doc" });
    expect(nameOf(block, 0, "ustar")).toBe("usr/share/doc");
    expect(nameOf(block, 0, "gnu")).toBe("doc");
    expect(nameOf(block, 0, "v7")).toBe("doc");
  });

  test.each([
    ["ustar", undefined],
    ["gnu", GNU_MAGIC],
    ["v7", V7_MAGIC],
  ])("of layout %s is known by its magic", (format, magic) => {
    expect(formatOf(header(magic === undefined ? {} : { magic }), 0)).toBe(format);
  });

  test.each(["tartar", "ustar 00", "ustar  1"])("with the magic %j is v7's", (magic) => {
    expect(formatOf(header({ magic }), 0)).toBe("v7");
  });

  test("reads sizes and times beyond octal in GNU's base-256, negative times too", () => {
    const size = 2n ** 40n + 5n;
    const block = header({ size: base256(size, 12), mtime: base256(-3n, 12) });
    expect(sizeOf(block, 0)).toBe(Number(size));
    expect(mtimeOf(block, 0)).toBe(-3n);
  });

  test("gives different devices different numbers", () => {
    const of = (deviceMajor: number, deviceMinor: number) =>
      deviceOf(header({ deviceMajor, deviceMinor }), 0);
    expect(new Set([of(1, 3), of(3, 1), of(1, 4), of(8, 17)]).size).toBe(4);
  });
});

describe("the checksum", () => {
  test("holds for sums of unsigned and of signed bytes, and for no other byte", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.nat(511), (name, changed) => {
        const block = header({});
        block.set(name, 0);
        fixChecksum(block);
        verifyChecksum(block, 0);
        fixChecksum(block, 0, true);
        verifyChecksum(block, 0);
        fixChecksum(block);
        if (changed >= 148 && changed < 156) return;
        block[changed] = (block[changed]! + 1) & 0x7f; // below 128: signed and unsigned sums agree
        expect(() => verifyChecksum(block, 0)).toThrow(FormatError);
      }),
    );
  });
});

test("any block gives values or typed errors", () => {
  const readers = [
    (block: Uint8Array) => verifyChecksum(block, 0),
    (block: Uint8Array) => formatOf(block, 0),
    (block: Uint8Array) => nameOf(block, 0, "ustar"),
    (block: Uint8Array) => linkOf(block, 0),
    (block: Uint8Array) => sizeOf(block, 0),
    (block: Uint8Array) => modeOf(block, 0),
    (block: Uint8Array) => uidOf(block, 0),
    (block: Uint8Array) => gidOf(block, 0),
    (block: Uint8Array) => mtimeOf(block, 0),
    (block: Uint8Array) => deviceOf(block, 0),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (block) => {
      for (const read of readers) {
        try {
          read(block);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }),
  );
});

test("only a block of zeros counts as half of the end marker", () => {
  expect(isZeroBlock(new Uint8Array(1024), 512)).toBe(true);
  fc.assert(
    fc.property(fc.nat(511), fc.integer({ min: 1, max: 255 }), (at, value) => {
      const block = new Uint8Array(512);
      block[at] = value;
      expect(isZeroBlock(block, 0)).toBe(false);
    }),
  );
});
