/**
 * Following a deflate stream over output that is known already: which proves that a block starts at
 * a bit, and tells which bytes of the window before it the stream refers to.
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import { BlockCodes, DYNAMIC, FIXED, HOLD_BITS, STORED, WINDOW_BYTES } from "./deflate-codes.ts";
import { ENTRY_MATCH, ENTRY_VALUE } from "./huffman.ts";

/** How many bytes must come out right before a position is believed. */
const PROOF_BYTES = 64;
/** How many are looked at; what follows is only followed, which is faster. */
const CHECKED_BYTES = 1024;

/** Walks streams; one for many walks. */
export class WindowWalk {
  readonly #codes = new BlockCodes();
  /** Of each byte of the last walk's window, whether the stream refers to it. */
  readonly used = new Uint8Array(WINDOW_BYTES);
  #marked = false; // whether any are set
  #out = 0;

  /**
   * Whether a deflate block starts at `bit` of `input` whose output, and that of the blocks after it,
   * is `known` from `at` on; followed for the length of a window, or up to the end of the stream or
   * of what is known. `input` must have been padded (deflate-codes.ts).
   *
   * @param end bytes of `input` without its padding
   */
  follow(input: Uint8Array, end: number, bit: number, known: Uint8Array, at: number): boolean {
    if (this.#marked) this.used.fill(0);
    this.#marked = false;
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
    const checked = start + CHECKED_BYTES;
    let position = bit;
    let out = this.#out;
    while (out < stop) {
      if (position > lastBit) return -1;
      let hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      let entry = literalEntries[hold & literalMask]!;
      if (entry === 0) entry = literals.decodeLong(hold);
      let width = entry & 15;
      if (width === 0) return -1;
      position += width;
      if ((entry & ENTRY_MATCH) === 0) {
        if (out < checked && known[out] !== entry >>> ENTRY_VALUE) return -1;
        out++;
        continue;
      }
      let further = (entry >>> 4) & 15;
      const length = (entry >>> ENTRY_VALUE) + ((hold >>> width) & ((1 << further) - 1));
      if (length === 0) {
        this.#out = out;
        return position;
      }
      position += further;
      hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      entry = distanceEntries[hold & distanceMask]!;
      if (entry === 0) entry = distances.decodeLong(hold);
      width = entry & 15;
      if (width === 0) return -1;
      further = (entry >>> 4) & 15;
      position += width;
      if (width + further <= HOLD_BITS) hold >>>= width;
      else hold = view.getUint32(position >>> 3, true) >>> (position & 7);
      position += further;
      const from = out - (entry >>> ENTRY_VALUE) - (hold & ((1 << further) - 1));
      if (from < 0 || (out < checked && known[from] !== known[out])) return -1;
      if (from < start) {
        this.#marked = true;
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
