/**
 * The header of a dynamic deflate block, which describes its codes.
 *
 * Spec: RFC 1951, section 3.2.7.
 *
 * @module
 */
import type { BitWriter } from "./bit-writer.ts";
import {
  HCLEN_BITS,
  HDIST_BITS,
  HLIT_BITS,
  LEAST_DISTANCES,
  LEAST_LENGTHS,
  LEAST_LITERALS,
  LENGTH_BITS,
  MAX_LENGTHS_BITS,
  MOST_LENGTHS,
  REPEAT_LAST,
  REPEAT_ZERO,
  REPEAT_ZERO_LONG,
  lengthOrder,
  repeatBits,
  repeatLeast,
} from "./deflate-format.ts";
import { codeLengths, codesOf } from "./huffman.ts";

/** The lengths of a block's two codes. */
export interface Lengths {
  readonly literals: Uint8Array;
  readonly distances: Uint8Array;
}

/** The header of a dynamic block, behind its type. */
export class CodesHeader {
  readonly #literals: number;
  readonly #distances: number;
  /** Symbols of the code of code lengths, each followed by the value of its further bits. */
  readonly #symbols: number[] = [];
  readonly #lengths: Uint8Array;
  readonly #sent: number;
  readonly bits: number;

  constructor({ literals, distances }: Lengths) {
    this.#literals = Math.max(LEAST_LITERALS, literals.findLastIndex((length) => length > 0) + 1);
    this.#distances = distances.findLastIndex((length) => length > 0) + 1;
    this.#shorten([
      ...literals.subarray(0, this.#literals),
      ...distances.subarray(0, this.#distances),
    ]);
    const counts = new Uint32Array(MOST_LENGTHS);
    for (let i = 0; i < this.#symbols.length; i += 2) counts[this.#symbols[i]!]!++;
    this.#lengths = codeLengths(counts, MAX_LENGTHS_BITS);
    this.#sent = Math.max(
      LEAST_LENGTHS,
      lengthOrder.findLastIndex((symbol) => this.#lengths[symbol]! > 0) + 1,
    );
    let bits = HLIT_BITS + HDIST_BITS + HCLEN_BITS + LENGTH_BITS * this.#sent;
    for (const [symbol, count] of counts.entries()) {
      bits += count * (this.#lengths[symbol]! + furtherBits(symbol));
    }
    this.bits = bits;
  }

  write(writer: BitWriter): void {
    writer.add(this.#literals - LEAST_LITERALS, HLIT_BITS);
    writer.add(this.#distances - LEAST_DISTANCES, HDIST_BITS);
    writer.add(this.#sent - LEAST_LENGTHS, HCLEN_BITS);
    for (const symbol of lengthOrder.subarray(0, this.#sent)) {
      writer.add(this.#lengths[symbol]!, LENGTH_BITS);
    }
    const codes = codesOf(this.#lengths);
    for (let i = 0; i < this.#symbols.length; i += 2) {
      const symbol = this.#symbols[i]!;
      writer.add(codes[symbol]!, this.#lengths[symbol]!);
      writer.add(this.#symbols[i + 1]!, furtherBits(symbol));
    }
  }

  /** Replaces runs of equal lengths by symbols that repeat the last length, or zeros. */
  #shorten(lengths: readonly number[]): void {
    for (let at = 0; at < lengths.length;) {
      const length = lengths[at]!;
      let run = 1;
      while (lengths[at + run] === length) run++;
      at += run;
      if (length > 0) {
        this.#symbols.push(length, 0);
        run--;
      }
      while (run >= LEAST_RUN) {
        const part = Math.min(run, longestRun(length > 0 ? REPEAT_LAST : REPEAT_ZERO_LONG));
        const isLong = part >= leastRun(REPEAT_ZERO_LONG);
        const symbol = length > 0 ? REPEAT_LAST : isLong ? REPEAT_ZERO_LONG : REPEAT_ZERO;
        this.#symbols.push(symbol, part - leastRun(symbol));
        run -= part;
      }
      for (; run > 0; run--) this.#symbols.push(length, 0);
    }
  }
}

const leastRun = (symbol: number) => repeatLeast[symbol - REPEAT_LAST]!;
const longestRun = (symbol: number) => leastRun(symbol) + (1 << furtherBits(symbol)) - 1;
const LEAST_RUN = Math.min(...repeatLeast);

function furtherBits(symbol: number): number {
  return symbol < REPEAT_LAST ? 0 : repeatBits[symbol - REPEAT_LAST]!;
}
