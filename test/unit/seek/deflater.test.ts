/** Our own compressor: what it writes is deflate, as short as can be expected, and always the same. */
import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deflate } from "../../../src/seek/deflater.ts";
import { codeLengths } from "../../../src/seek/huffman.ts";
import { inflateExactly } from "../../../src/seek/inflater.ts";
import { mixedBytes } from "../../support/compressed-layers.ts";

function expectBack(bytes: Uint8Array): number {
  const packed = deflate(bytes);
  expect(inflateRawSync(packed).equals(bytes)).toBe(true);
  expect(Buffer.from(inflateExactly(packed, bytes.length)).equals(bytes)).toBe(true);
  return packed.length;
}

const noise = (size: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
      createHash("sha512").update(`${i}`).digest(),
    ),
  ).subarray(0, size);

describe("zlib reads what was written", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["one byte", Buffer.from("a")],
    ["three bytes", Buffer.from("aaa")],
    ["four times the same", Buffer.from("aaaa")],
    ["one long run, which overlaps itself", Buffer.alloc(100_000, 7)],
    ["all bytes", Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
    ["more tokens than a block has", mixedBytes(1_000_000, 5)],
    ["a match as far as can be", Buffer.concat([noise(32 * 1024), noise(32 * 1024)])],
    ["one that is too far", Buffer.concat([noise(32 * 1024 + 1), noise(32 * 1024 + 1)])],
  ])("%s", (_name, bytes) => {
    expectBack(bytes);
  });

  test("any pieces in any order", () => {
    const piece = fc.oneof(
      fc
        .constantFrom("usr/share/", "\0\0\0\0\0", "lib", "x86_64-linux-gnu")
        .map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        expectBack(Buffer.concat(pieces));
      }),
    );
  });
});

test("what cannot be compressed is hardly longer", () => {
  for (const size of [1, 100, 65_535, 65_536, 300_000]) {
    const bytes = noise(size);
    expect(expectBack(bytes)).toBeLessThanOrEqual(size + 6 + 5 * Math.ceil(size / 60_000));
  }
});

test("what can be compressed is as short as zlib makes it at its fastest", () => {
  const bytes = mixedBytes(400_000, 2);
  expect(expectBack(bytes)).toBeLessThan(deflateRawSync(bytes, { level: 1 }).length * 1.05);
});

test("the same bytes wherever and whenever it runs", () => {
  const digest = createHash("sha256")
    .update(deflate(mixedBytes(100_000, 9)))
    .digest("hex");
  expect(digest).toBe(PINNED);
});

const PINNED = "702fff2b826fbc5f00d5ae37ca90b0b6afbf721fbcf2931c7012857efab607f5";

describe("lengths of codes", () => {
  /** What the codes take of the room that there is. */
  const taken = (lengths: Uint8Array) =>
    lengths.reduce((sum, length) => sum + (length > 0 ? 2 ** -length : 0), 0);

  test("are held within the limit, and fill the room", () => {
    const fibonacci = new Uint32Array(30);
    for (let i = 0; i < 30; i++) fibonacci[i] = i < 2 ? 1 : fibonacci[i - 1]! + fibonacci[i - 2]!;
    expect(Math.max(...codeLengths(fibonacci, 30))).toBe(29);
    for (const limit of [5, 7, 15]) {
      const lengths = codeLengths(fibonacci, limit);
      expect(Math.max(...lengths)).toBe(limit);
      expect(Math.min(...lengths)).toBeGreaterThan(0);
      expect(taken(lengths)).toBe(1);
    }
  });

  test("there are two at least", () => {
    expect([...codeLengths(Uint32Array.of(0, 0, 0), 7)]).toEqual([1, 1, 0]);
    expect([...codeLengths(Uint32Array.of(0, 0, 5), 7)]).toEqual([1, 0, 1]);
  });

  test("are longer for what is rarer, for any counts", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 2, maxLength: 286 }), (list) => {
        const lengths = codeLengths(Uint32Array.from(list), 15);
        expect(taken(lengths)).toBe(1);
        for (let a = 1; a < list.length; a++) {
          const [fewer, more] = list[a]! < list[a - 1]! ? [a, a - 1] : [a - 1, a];
          if (list[fewer]! < list[more]! && lengths[fewer]! > 0) {
            expect(lengths[fewer]).toBeGreaterThanOrEqual(lengths[more]!);
          }
        }
      }),
    );
  });
});
