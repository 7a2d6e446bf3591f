/** Our own inflater against zlib, and against anything. */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { Inflater, inflateExactly } from "../../../src/seek/inflater.ts";
import { mixedBytes } from "../../support/compressed-layers.ts";

/** All output, the input in pieces of `step` bytes. */
function inflate(packed: Uint8Array, step: number, window?: Uint8Array): Buffer {
  const inflater = new Inflater(window);
  const parts: Buffer[] = [];
  for (let at = 0; ; at += step) {
    if (at < packed.length) inflater.push(packed.subarray(at, at + step));
    else inflater.finish();
    for (;;) {
      const stop = inflater.run();
      parts.push(Buffer.from(inflater.take()));
      if (stop === "end") return Buffer.concat(parts);
      if (stop === "input") break;
    }
  }
}

const strategies = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_FIXED,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_RLE,
];

describe("what zlib has deflated", () => {
  test.each(
    [0, 1, 6, 9].flatMap((level) => strategies.map((strategy) => [level, strategy] as const)),
  )("level %i, strategy %i: comes out again, whatever the pieces", (level, strategy) => {
    const bytes = mixedBytes(300_000, level + strategy);
    const packed = deflateRawSync(bytes, { level, strategy });
    for (const step of [packed.length, 100_000, 1000]) {
      expect(inflate(packed, step).equals(bytes)).toBe(true);
    }
  });

  test("byte by byte", () => {
    const bytes = mixedBytes(20_000, 7);
    expect(inflate(deflateRawSync(bytes), 1).equals(bytes)).toBe(true);
  });

  test("any bytes, with any window", () => {
    const word = fc.constantFrom("one", "two", "three and more", "\0\0\0\0", "…");
    const text = fc.array(word, { maxLength: 300 }).map((words) => Buffer.from(words.join("")));
    fc.assert(
      fc.property(text, text, fc.nat(9), (window, bytes, level) => {
        const dictionary = window.length > 0 ? { dictionary: window } : {};
        const packed = deflateRawSync(bytes, { level, ...dictionary });
        expect(inflate(packed, 64, window).equals(bytes)).toBe(true);
      }),
    );
  });
});

test("any bytes give what zlib makes of them, or a FormatError", () => {
  // The first bits say a block with codes of its own in half of the cases.
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), (bytes, dynamic) => {
      if (dynamic) bytes[0] = (bytes[0]! & 0xf8) | 5;
      let expected: Buffer | undefined;
      try {
        expected = inflateRawSync(bytes);
      } catch {
        // then it is refused
      }
      let got: Buffer | undefined;
      try {
        got = inflate(bytes, 17);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(got?.toString("hex")).toBe(expected?.toString("hex"));
    }),
    { numRuns: 3000 },
  );
});

test("a flipped bit gives other bytes or a FormatError, and never more than there is room for", () => {
  const bytes = mixedBytes(5000, 3);
  const packed = deflateRawSync(bytes);
  for (let bit = 0; bit < packed.length * 8; bit += 7) {
    const damaged = Buffer.from(packed);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    try {
      expect(inflateExactly(damaged, bytes.length).length).toBe(bytes.length);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
});

describe("an exact size", () => {
  const packed = deflateRawSync(Buffer.alloc(100_000));
  test("is given", () => expect(inflateExactly(packed, 100_000).length).toBe(100_000));
  test("one byte less, or more, is refused", () => {
    expect(() => inflateExactly(packed, 99_999)).toThrow("more than 99999 bytes");
    expect(() => inflateExactly(packed, 100_001)).toThrow("100000 of 100001 bytes");
  });
  test("no room is made for more than can come", () => {
    expect(() => inflateExactly(packed, 2 ** 40)).toThrow("cannot come of");
  });
  test("a stream that is cut is refused, wherever that is", () => {
    for (let end = 0; end < packed.length; end++) {
      expect(() => inflateExactly(packed.subarray(0, end), 100_000)).toThrow(FormatError);
    }
  });
});
