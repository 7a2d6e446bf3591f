/** Layouts declared once: reader and writer are derived from the same fields. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { i32, i64, raw, struct, u16, u32, u64, u8 } from "../../../src/bytes/struct.ts";
import { FormatError } from "../../../src/errors.ts";

const Sample = struct("sample", 36, {
  a: u8,
  b: u16,
  c: u32,
  d: i32,
  e: u64,
  f: i64,
  tail: raw(9),
});

const values = fc.record({
  a: fc.integer({ min: 0, max: 0xff }),
  b: fc.integer({ min: 0, max: 0xffff }),
  c: fc.integer({ min: 0, max: 0xffffffff }),
  d: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  e: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  f: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  tail: fc.uint8Array({ minLength: 9, maxLength: 9 }),
});

describe("a layout", () => {
  test("is written in the order of its fields, little-endian", () => {
    const tail = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    const bytes = Sample.encode({ a: 0x01, b: 0x0203, c: 0x04050607, d: -2, e: 1n, f: -1n, tail });
    expect(Buffer.from(bytes).toString("hex")).toBe(
      [
        "01",
        "0302",
        "07060504",
        "feffffff",
        "0100000000000000",
        "ffffffffffffffff",
        "010203040506070809",
      ].join(""),
    );
    expect(Sample.offsets).toEqual({ a: 0, b: 1, c: 3, d: 7, e: 11, f: 19, tail: 27 });
  });

  test("decodes what it has encoded, wherever that lies, and touches nothing around it", () => {
    fc.assert(
      fc.property(values, fc.nat(20), (value, at) => {
        const bytes = new Uint8Array(at + Sample.size + 7).fill(0xaa);
        Sample.encodeInto(bytes, at, value);
        expect(Sample.decode(bytes, at)).toEqual(value);
        expect(bytes.subarray(0, at).every((byte) => byte === 0xaa)).toBe(true);
        expect(bytes.subarray(at + Sample.size).every((byte) => byte === 0xaa)).toBe(true);
      }),
    );
  });

  test("decodes any bytes, or says how many it needs", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.integer({ min: -4, max: 90 }),
        (bytes, at) => {
          const fits = at >= 0 && at + Sample.size <= bytes.length;
          if (fits) {
            expect(Sample.encode(Sample.decode(bytes, at))).toEqual(
              bytes.slice(at, at + Sample.size),
            );
            return;
          }
          const have = Math.max(0, bytes.length - at);
          const error = new FormatError(
            "TRUNCATED",
            `sample at ${at}: need ${Sample.size} bytes, have ${have}`,
          );
          expect(() => Sample.decode(bytes, at)).toThrow(error);
        },
      ),
    );
  });

  test("whose fields do not add up to its size is refused when it is declared", () => {
    expect(() => struct("short", 4, { a: u8, b: u16 })).toThrow(
      "short: fields take 3 bytes, not 4",
    );
  });
});

describe("raw bytes", () => {
  const Raw = struct("raw", 4, { bytes: raw(4) });

  test("that are shorter than their field are padded with zeros, longer ones are refused", () => {
    expect([...Raw.encode({ bytes: Uint8Array.of(7) })]).toEqual([7, 0, 0, 0]);
    expect(() => Raw.encode({ bytes: new Uint8Array(5) })).toThrow(RangeError);
  });

  test("are a copy: what is decoded does not change with its source", () => {
    const source = Uint8Array.of(1, 2, 3, 4);
    const { bytes } = Raw.decode(source);
    source.fill(9);
    expect([...bytes]).toEqual([1, 2, 3, 4]);
  });
});
