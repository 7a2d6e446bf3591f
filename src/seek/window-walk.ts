/**
 * Following a deflate stream over output that is known already: which proves that a block starts at
 * a bit, and tells which bytes of the window before it the stream refers to.
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import {
  BlockCodes,
  DYNAMIC,
  END_OF_BLOCK,
  FIXED,
  STORED,
  WINDOW_BYTES,
  distanceBase,
  distanceExtra,
  lengthBase,
  lengthExtra,
} from "./deflate-codes.ts";

/** How many bytes must come out right before a position is believed. */
const PROOF_BYTES = 64;

/** Walks streams; one for many walks. */
export class WindowWalk {
  readonly #codes = new BlockCodes();
  /** Of each byte of the last walk's window, whether the stream refers to it. */
  readonly used = new Uint8Array(WINDOW_BYTES);
  #out = 0;

  /**
   * Whether a deflate block starts at `bit` of `input` whose output, and that of the blocks after it,
   * is `known` from `at` on; followed for the length of a window, or up to the end of the stream or
   * of what is known. `input` must have been padded (deflate-codes.ts).
   *
   * @param end bytes of `input` without its padding
   */
  follow(input: Uint8Array, end: number, bit: number, known: Uint8Array, at: number): boolean {
    this.used.fill(0);
    const stop = Math.min(known.length, at + WINDOW_BYTES);
    this.#out = at;
    const last = end * 8;
    let position = bit;
    for (let final = 0; final === 0 && this.#out < stop;) {
      if (position + 3 > last) return false;
      const header =
        (input[position >>> 3]! | (input[(position >>> 3) + 1]! << 8)) >>> (position & 7);
      final = header & 1;
      position += 3;
      const type = (header >>> 1) & 3;
      if (type === STORED) position = this.#stored(input, position, known, stop);
      else {
        if (type === FIXED) {
          this.#codes.useFixed();
          this.#codes.bit = position;
        } else if (type !== DYNAMIC || !this.#codes.readDynamic(input, position)) return false;
        position = this.#coded(input, known, at, stop);
      }
      if (position < 0 || position > last) return false;
    }
    return this.#out >= Math.min(stop, at + PROOF_BYTES) && this.#out > at;
  }

  /** Gives the position after the block, or -1. */
  #stored(input: Uint8Array, bit: number, known: Uint8Array, stop: number): number {
    const at = (bit + 7) >>> 3;
    if (at + 4 > input.length) return -1;
    const length = input[at]! | (input[at + 1]! << 8);
    if ((length ^ (input[at + 2]! | (input[at + 3]! << 8))) !== 0xffff) return -1;
    const count = Math.min(length, stop - this.#out);
    if (at + 4 + count > input.length) return -1;
    for (let i = 0; i < count; i++) {
      if (input[at + 4 + i] !== known[this.#out + i]) return -1;
    }
    this.#out += count;
    return (at + 4 + count) * 8;
  }

  /** As {@link #stored}; ends in the middle of the block when all has been seen. */
  #coded(input: Uint8Array, known: Uint8Array, start: number, stop: number): number {
    const { literals, distances, bit } = this.#codes;
    const { entries: literalEntries, mask: literalMask } = literals;
    const { entries: distanceEntries, mask: distanceMask } = distances;
    const { used } = this;
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    const lastBit = (input.length - 10) * 8;
    let position = bit;
    let out = this.#out;
    while (out < stop) {
      if (position > lastBit) return -1;
      // At least 25 bits: a length with all that belongs to it, or all but a far distance.
      let hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      let entry = literalEntries[hold & literalMask]!;
      if (entry === 0) entry = literals.decodeLong(hold);
      let width = entry & 15;
      if (width === 0) return -1;
      position += width;
      const symbol = entry >> 4;
      if (symbol < END_OF_BLOCK) {
        if (known[out++] !== symbol) return -1;
        continue;
      }
      if (symbol === END_OF_BLOCK) {
        this.#out = out;
        return position;
      }
      if (symbol > 285) return -1;
      const more = lengthExtra[symbol - 257]!;
      const length = lengthBase[symbol - 257]! + ((hold >>> width) & ((1 << more) - 1));
      position += more;
      hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      entry = distanceEntries[hold & distanceMask]!;
      if (entry === 0) entry = distances.decodeLong(hold);
      width = entry & 15;
      if (width === 0) return -1;
      position += width;
      const code = entry >> 4;
      if (code > 29) return -1;
      hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      const further = distanceExtra[code]!;
      position += further;
      const from = out - distanceBase[code]! - (hold & ((1 << further) - 1));
      if (from < 0 || known[from] !== known[out]) return -1;
      if (from < start) {
        const first = from - start + WINDOW_BYTES;
        const end = first + Math.min(length, start - from, stop - out);
        for (let i = first; i < end; i++) used[i] = 1;
      }
      out += length;
    }
    this.#out = stop;
    return position;
  }
}
