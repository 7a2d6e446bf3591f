/**
 * The codes of deflate blocks, as a decoder reads them from a block's header.
 *
 * Spec: RFC 1951, sections 3.2.3 to 3.2.7.
 *
 * @module
 */
import {
  END_OF_BLOCK,
  HCLEN_BITS,
  HDIST_BITS,
  HLIT_BITS,
  LEAST_DISTANCES,
  LEAST_LENGTHS,
  LEAST_LITERALS,
  LENGTH_BITS,
  MAX_LENGTHS_BITS,
  MOST_DISTANCES,
  MOST_LENGTHS,
  MOST_LITERALS,
  REPEAT_LAST,
  distanceBase,
  distanceExtra,
  fixedLengths,
  lengthBase,
  lengthExtra,
  lengthOrder,
  repeatBits,
  repeatLeast,
} from "./deflate-format.ts";
import { ENTRY_FURTHER, ENTRY_MATCH, ENTRY_VALUE, ENTRY_WIDTH, HuffmanTable } from "./huffman.ts";

/** What symbols mean, as table entries: the end of a block is a match of length 0. */
const literalMeanings = Int32Array.of(
  ...Array.from({ length: END_OF_BLOCK }, (_, byte) => byte << ENTRY_VALUE),
  ENTRY_MATCH,
  ...meaningsOf(lengthBase, lengthExtra).map((meaning) => meaning | ENTRY_MATCH),
);
const distanceMeanings = meaningsOf(distanceBase, distanceExtra);
const plainMeanings = Int32Array.from(
  { length: MOST_LENGTHS },
  (_, symbol) => symbol << ENTRY_VALUE,
);

function meaningsOf(bases: Uint16Array, extras: Uint8Array): Int32Array {
  return Int32Array.from(bases, (base, i) => (base << ENTRY_VALUE) | (extras[i]! << ENTRY_FURTHER));
}

/** Bytes of the longest header of a dynamic block: 14 + 19 × 3 + 320 × 14 bits. */
export const MAX_HEADER_BYTES = 576;
/** Bits that reading four bytes gives from any bit on: a length code with its further bits fits. */
export const HOLD_BITS = 25;
/** Bytes that decoding may read beyond the end of its input. */
export const SLACK_BYTES = 12;

/** Bits that one lookup decides: most codes are not longer, and the tables stay small. */
const LITERAL_TABLE_BITS = 10;
const DISTANCE_TABLE_BITS = 8;

/** The two codes of a block, and where its data starts. */
export class BlockCodes {
  readonly #literals = new HuffmanTable(literalMeanings, LITERAL_TABLE_BITS);
  readonly #distances = new HuffmanTable(distanceMeanings, DISTANCE_TABLE_BITS);
  readonly #lengths = new HuffmanTable(plainMeanings, MAX_LENGTHS_BITS);
  readonly #all = new Uint8Array(MOST_LITERALS + MOST_DISTANCES);
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
   * {@link MAX_HEADER_BYTES} from there on, or zeros in their place. False when the header is invalid.
   */
  readDynamic(input: Uint8Array, bit: number): boolean {
    // As literals: constants of another module would be loaded and checked for every length.
    const WIDTH: typeof ENTRY_WIDTH = 15;
    const VALUE: typeof ENTRY_VALUE = 9;
    const LAST: typeof REPEAT_LAST = 16;
    let at = bit;
    const take = (count: number): number => {
      const byte = at >>> 3;
      const value =
        (input[byte]! | (input[byte + 1]! << 8) | (input[byte + 2]! << 16)) >>> (at & 7);
      at += count;
      return value & ((1 << count) - 1);
    };
    const literalCount = take(HLIT_BITS) + LEAST_LITERALS;
    const distanceCount = take(HDIST_BITS) + LEAST_DISTANCES;
    const lengthCount = take(HCLEN_BITS) + LEAST_LENGTHS;
    if (literalCount > MOST_LITERALS || distanceCount > MOST_DISTANCES) return false;
    const all = this.#all;
    all.fill(0, 0, MOST_LENGTHS);
    for (let i = 0; i < lengthCount; i++) all[lengthOrder[i]!] = take(LENGTH_BITS);
    if (!this.#lengths.build(all, 0, MOST_LENGTHS, false)) return false;
    const { entries, mask } = this.#lengths;
    const count = literalCount + distanceCount;
    for (let i = 0; i < count;) {
      const byte = at >>> 3;
      const hold = (input[byte]! | (input[byte + 1]! << 8) | (input[byte + 2]! << 16)) >>> (at & 7);
      const entry = entries[hold & mask]!;
      const width = entry & WIDTH;
      if (width === 0) return false;
      at += width;
      const symbol = entry >>> VALUE;
      if (symbol < LAST) {
        all[i++] = symbol;
        continue;
      }
      if (symbol === LAST && i === 0) return false;
      const value = symbol === LAST ? all[i - 1]! : 0;
      const bits = repeatBits[symbol - LAST]!;
      const repeat = repeatLeast[symbol - LAST]! + ((hold >>> width) & ((1 << bits) - 1));
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

function fixed() {
  if (fixedCodes !== undefined) return fixedCodes;
  const literals = new HuffmanTable(literalMeanings, Math.max(...fixedLengths.literals));
  literals.build(fixedLengths.literals, 0, fixedLengths.literals.length, false);
  const distances = new HuffmanTable(distanceMeanings, Math.max(...fixedLengths.distances));
  distances.build(fixedLengths.distances, 0, fixedLengths.distances.length, false);
  fixedCodes = { literals, distances };
  return fixedCodes;
}
