/**
 * The loop that decodes the data of deflate blocks. The inflater writes the output (`inflater.ts`);
 * a window walk compares it with output that it already has (`window-walk.ts`).
 *
 * Spec: RFC 1951, sections 3.2.3 to 3.2.5.
 *
 * @module
 */
import type { BlockCodes, HOLD_BITS } from "./deflate-codes.ts";
import { WINDOW_BYTES } from "./deflate-format.ts";
import type { ENTRY_FURTHER, ENTRY_MATCH, ENTRY_VALUE, ENTRY_WIDTH } from "./huffman.ts";

/** Compressed bytes, with slack at their end (deflate-codes.ts). */
export interface TokenInput {
  readonly view: DataView;
  /** Bits of it. */
  readonly end: number;
  /** Whether more will follow: then a token that may be cut is not decoded yet. */
  readonly isPart: boolean;
}

/**
 * Why it has stopped: the output is full; the input ends; the block ends; a code of a literal or length,
 * or of a distance, is not assigned; a distance goes beyond the start; the output is not as expected.
 */
export type TokensStop =
  "output" | "input" | "block" | "bad literal" | "bad distance" | "too far" | "unexpected";

/** Bits of the longest token: 15 and 5 of a length, 15 and 13 of a distance. */
const TOKEN_BITS = 48;
/** Where the window ends in the output, and decoding begins. */
export const WINDOW_END = WINDOW_BYTES;

/** Decodes tokens: state of the output and position in the input. */
export class TokenDecoder {
  /** A window, and output behind it; when it is written to, with room for one more longest match. */
  output: Uint8Array;
  /** The end of what has been decoded. */
  out = WINDOW_END;
  /** The position in the input, in bits. */
  bit = 0;
  /** Start of what matches may refer to. */
  history = 0;
  /** Up to this position the output is compared with the bytes that are already there. */
  expectedEnd = 0;
  /** Marks of the bytes of the window that are referred to. */
  readonly used: Uint8Array | undefined;
  /** Whether any has been set. */
  hasUsed = false;

  constructor(output: Uint8Array, used?: Uint8Array) {
    this.output = output;
    this.used = used;
  }

  /**
   * Decodes data of a block, until the output ends at `limit` or beyond it. Hot: one function, because
   * a call for each token would cost more than the token.
   *
   * @param writes whether output is written; if not, it must already be in place
   */
  run(input: TokenInput, codes: BlockCodes, limit: number, writes: boolean): TokensStop {
    // As literals: constants of another module would be loaded and checked for every token.
    const WIDTH: typeof ENTRY_WIDTH = 15;
    const FURTHER: typeof ENTRY_FURTHER = 4;
    const MATCH: typeof ENTRY_MATCH = 0x100;
    const VALUE: typeof ENTRY_VALUE = 9;
    const HOLD: typeof HOLD_BITS = 25;
    const SHORT_MATCH = 16; // up to here a loop copies faster than a call
    const { literals, distances } = codes;
    const { entries: literalEntries, mask: literalMask } = literals;
    const { entries: distanceEntries, mask: distanceMask } = distances;
    const { view, end } = input;
    const safe = input.isPart ? end - TOKEN_BITS : end;
    const { output, history, used, expectedEnd } = this;
    const old = used === undefined ? history : WINDOW_END;
    let { bit, out } = this;
    while (out < limit) {
      if (bit > safe) return this.#stop("input", bit, out);
      const before = bit;
      let hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      let entry = literalEntries[hold & literalMask]!;
      if (entry === 0) entry = literals.decodeLong(hold);
      let width = entry & WIDTH;
      if (width === 0) return this.#stop("bad literal", bit, out);
      bit += width;
      if ((entry & MATCH) === 0) {
        if (bit > end) return this.#stop("input", before, out);
        if (writes) output[out] = entry >>> VALUE;
        else if (out < expectedEnd && output[out] !== entry >>> VALUE) {
          return this.#stop("unexpected", bit, out);
        }
        out++;
        continue;
      }
      let further = (entry >>> FURTHER) & WIDTH;
      const length = (entry >>> VALUE) + ((hold >>> width) & ((1 << further) - 1));
      if (length === 0) {
        return bit > end ? this.#stop("input", before, out) : this.#stop("block", bit, out);
      }
      bit += further;
      hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      entry = distanceEntries[hold & distanceMask]!;
      if (entry === 0) entry = distances.decodeLong(hold);
      width = entry & WIDTH;
      if (width === 0) return this.#stop("bad distance", bit, out);
      further = (entry >>> FURTHER) & WIDTH;
      bit += width;
      if (width + further <= HOLD) hold >>>= width;
      else hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      bit += further;
      if (bit > end) return this.#stop("input", before, out);
      const from = out - (entry >>> VALUE) - (hold & ((1 << further) - 1));
      if (from < old) {
        if (from < history) return this.#stop("too far", bit, out);
        this.hasUsed = true;
        const usedEnd = from + Math.min(length, WINDOW_END - from, limit - out);
        for (let i = from; i < usedEnd; i++) used![i] = 1;
      }
      if (!writes) {
        if (out < expectedEnd && output[out] !== output[from]) {
          return this.#stop("unexpected", bit, out);
        }
      } else if (length > SHORT_MATCH && out - from >= length) {
        output.copyWithin(out, from, from + length);
      } else for (let i = 0; i < length; i++) output[out + i] = output[from + i]!;
      out += length;
    }
    return this.#stop("output", bit, out);
  }

  #stop(why: TokensStop, bit: number, out: number): TokensStop {
    this.bit = bit;
    this.out = out;
    return why;
  }
}
