/**
 * What blocks of deflate are decoded with: their headers, and the codes that these give.
 * Spec: RFC 1951, sections 3.2.3 to 3.2.7.
 *
 * @module
 */
import { ENTRY_MATCH, ENTRY_VALUE, HuffmanTable } from "./huffman.ts";

/** The largest distance of a match, and so all that a decoder needs to remember. */
export const WINDOW_BYTES = 32 * 1024;

export const STORED = 0;
export const FIXED = 1;
export const DYNAMIC = 2;

export const END_OF_BLOCK = 256;

/** Symbols 257 to 285: shortest length and further bits. */
export const lengthBase = Uint16Array.of(
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  10,
  11,
  13,
  15,
  17,
  19,
  23,
  27,
  31,
  35,
  43,
  51,
  59,
  67,
  83,
  99,
  115,
  131,
  163,
  195,
  227,
  258,
);
export const lengthExtra = Uint8Array.of(
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  1,
  1,
  1,
  1,
  2,
  2,
  2,
  2,
  3,
  3,
  3,
  3,
  4,
  4,
  4,
  4,
  5,
  5,
  5,
  5,
  0,
);
/** Symbols 0 to 29: shortest distance and further bits. */
export const distanceBase = Uint16Array.of(
  1,
  2,
  3,
  4,
  5,
  7,
  9,
  13,
  17,
  25,
  33,
  49,
  65,
  97,
  129,
  193,
  257,
  385,
  513,
  769,
  1025,
  1537,
  2049,
  3073,
  4097,
  6145,
  8193,
  12289,
  16385,
  24577,
);
export const distanceExtra = Uint8Array.of(
  0,
  0,
  0,
  0,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  4,
  5,
  5,
  6,
  6,
  7,
  7,
  8,
  8,
  9,
  9,
  10,
  10,
  11,
  11,
  12,
  12,
  13,
  13,
);

/** In which order a dynamic block gives the lengths of the code of code lengths. */
export const lengthOrder = Uint8Array.of(
  16,
  17,
  18,
  0,
  8,
  7,
  9,
  6,
  10,
  5,
  11,
  4,
  12,
  3,
  13,
  2,
  14,
  1,
  15,
);

/** What symbols mean, as entries of a table: the end of a block is a match of no length. */
const literalMeanings = Int32Array.of(
  ...Array.from({ length: END_OF_BLOCK }, (_, byte) => byte << ENTRY_VALUE),
  ENTRY_MATCH,
  ...meaningsOf(lengthBase, lengthExtra).map((meaning) => meaning | ENTRY_MATCH),
);
const distanceMeanings = meaningsOf(distanceBase, distanceExtra);
const plainMeanings = Int32Array.from({ length: 19 }, (_, symbol) => symbol << ENTRY_VALUE);

function meaningsOf(bases: Uint16Array, extras: Uint8Array): Int32Array {
  return Int32Array.from(bases, (base, i) => (base << ENTRY_VALUE) | (extras[i]! << 4));
}

/** Bytes of the longest header of a dynamic block: 14 + 19 × 3 + 320 × 14 bits. */
export const MAX_HEADER_BYTES = 576;
/** Bits to be had from any place on by four bytes: a length with all that belongs to it. */
export const HOLD_BITS = 25;
/** Bytes that decoding may look at beyond the end of its input. */
export const SLACK_BYTES = 12;

/** The two codes of a block, and where its data starts. */
export class BlockCodes {
  readonly #literals = new HuffmanTable(literalMeanings, 10);
  readonly #distances = new HuffmanTable(distanceMeanings, 8);
  readonly #lengths = new HuffmanTable(plainMeanings, 7);
  readonly #all = new Uint8Array(320);
  literals: HuffmanTable = this.#literals;
  distances: HuffmanTable = this.#distances;
  /** Position in bits after the header. */
  bit = 0;

  useFixed(): void {
    const { literals, distances } = fixed();
    this.literals = literals;
    this.distances = distances;
  }

  /**
   * Reads the header of a dynamic block, from its 14 bits of counts on. `input` has
   * {@link MAX_HEADER_BYTES} from there on, or zeros in their place. False when it is not right.
   */
  readDynamic(input: Uint8Array, bit: number): boolean {
    let at = bit;
    const take = (count: number): number => {
      const byte = at >>> 3;
      const value =
        (input[byte]! | (input[byte + 1]! << 8) | (input[byte + 2]! << 16)) >>> (at & 7);
      at += count;
      return value & ((1 << count) - 1);
    };
    const literalCount = take(5) + 257;
    const distanceCount = take(5) + 1;
    const lengthCount = take(4) + 4;
    if (literalCount > 286 || distanceCount > 30) return false;
    const all = this.#all;
    all.fill(0, 0, 19);
    for (let i = 0; i < lengthCount; i++) all[lengthOrder[i]!] = take(3);
    if (!this.#lengths.build(all, 0, 19, false)) return false;
    const { entries } = this.#lengths;
    const count = literalCount + distanceCount;
    for (let i = 0; i < count;) {
      const byte = at >>> 3;
      const hold = (input[byte]! | (input[byte + 1]! << 8) | (input[byte + 2]! << 16)) >>> (at & 7);
      const entry = entries[hold & 127]!;
      const length = entry & 15;
      if (length === 0) return false;
      at += length;
      const symbol = entry >>> ENTRY_VALUE;
      if (symbol < 16) {
        all[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) return false;
      const value = symbol === 16 ? all[i - 1]! : 0;
      const bits = symbol === 16 ? 2 : symbol === 17 ? 3 : 7;
      const repeat = ((hold >>> length) & ((1 << bits) - 1)) + (symbol === 18 ? 11 : 3);
      at += bits;
      if (i + repeat > count) return false;
      all.fill(value, i, i + repeat);
      i += repeat;
    }
    if (all[END_OF_BLOCK] === 0) return false;
    if (!this.#literals.build(all, 0, literalCount, true)) return false;
    if (!this.#distances.build(all, literalCount, distanceCount, true)) return false;
    this.literals = this.#literals;
    this.distances = this.#distances;
    this.bit = at;
    return true;
  }
}

let fixedCodes: { readonly literals: HuffmanTable; readonly distances: HuffmanTable } | undefined;

/** Lengths of the codes of blocks that bring none of their own. RFC 1951, section 3.2.6. */
export const fixedLengths = {
  literals: new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280),
  distances: new Uint8Array(32).fill(5),
};

function fixed() {
  if (fixedCodes !== undefined) return fixedCodes;
  const literals = new HuffmanTable(literalMeanings, 9);
  literals.build(fixedLengths.literals, 0, 288, false);
  const distances = new HuffmanTable(distanceMeanings, 5);
  distances.build(fixedLengths.distances, 0, 32, false);
  fixedCodes = { literals, distances };
  return fixedCodes;
}
