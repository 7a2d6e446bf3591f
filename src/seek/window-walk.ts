/**
 * Follows a deflate stream whose output is already known: this proves that a block starts at a bit,
 * and tells which bytes of the window before it the stream refers to.
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import { BlockCodes } from "./deflate-codes.ts";
import {
  BLOCK_HEADER_BITS,
  DYNAMIC,
  FINAL_BITS,
  FIXED,
  MOST_STORED_BYTES,
  STORED,
  STORED_HEADER_BYTES,
  TYPE_MASK,
  WINDOW_BYTES,
} from "./deflate-format.ts";
import { TokenDecoder, type TokenInput, WINDOW_END } from "./token-decoder.ts";

/** Bytes of output that must be as expected before a position is accepted. */
const PROOF_BYTES = 64;
/** Bytes of output that are compared; beyond them tokens are only followed, which is faster. */
const CHECKED_BYTES = 1024;

/** Walks along streams; one object serves many walks. */
export class WindowWalk {
  readonly #codes = new BlockCodes();
  /** Of each byte of the last walk's window, whether the stream refers to it. */
  readonly used = new Uint8Array(WINDOW_BYTES);
  readonly #decoder = new TokenDecoder(new Uint8Array(0), this.used);
  #end = 0; // of what is followed

  /**
   * Begins walks at a place: `known` is the output from a window before it on, and what is known of the
   * output after it. It must not change before the last of these walks.
   */
  begin(known: Uint8Array): void {
    this.#end = Math.min(known.length, WINDOW_END + WINDOW_BYTES);
    this.#decoder.output = known;
    this.#decoder.expectedEnd = Math.min(known.length, WINDOW_END + CHECKED_BYTES);
  }

  /**
   * Whether a deflate block starts at `bit` of `input` whose output, and that of the blocks after it, is
   * what is known; followed for the length of a window, or up to the end of the stream or of what is
   * known. `input` must have been padded (deflate-codes.ts).
   *
   * @param end bytes of `input` without its padding
   */
  follow(input: Uint8Array, end: number, bit: number): boolean {
    const decoder = this.#decoder;
    if (decoder.hasUsed) this.used.fill(0);
    decoder.hasUsed = false;
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    const last = end * 8;
    const tokenInput = { view, end: last, isPart: false };
    decoder.out = WINDOW_END;
    decoder.bit = bit;
    for (let final = 0; final === 0 && decoder.out < this.#end;) {
      const position = decoder.bit;
      if (position + BLOCK_HEADER_BITS > last) return false;
      const header =
        (input[position >>> 3]! | (input[(position >>> 3) + 1]! << 8)) >>> (position & 7);
      final = header & 1;
      const type = (header >>> FINAL_BITS) & TYPE_MASK;
      decoder.bit += BLOCK_HEADER_BITS;
      if (type === STORED) {
        if (!this.#stored(input)) return false;
      } else {
        if (type === FIXED) this.#codes.useFixed();
        else if (type !== DYNAMIC || !this.#codes.readDynamic(input, decoder.bit)) return false;
        else decoder.bit = this.#codes.bit;
        if (!this.#coded(tokenInput)) return false;
      }
      if (decoder.bit > last) return false;
    }
    const enough = Math.min(this.#end, WINDOW_END + PROOF_BYTES);
    return decoder.out >= enough && decoder.out > WINDOW_END;
  }

  #stored(input: Uint8Array): boolean {
    const decoder = this.#decoder;
    const at = (decoder.bit + 7) >>> 3;
    const data = at + STORED_HEADER_BYTES;
    if (data > input.length) return false;
    const length = input[at]! | (input[at + 1]! << 8);
    if ((length ^ (input[at + 2]! | (input[at + 3]! << 8))) !== MOST_STORED_BYTES) return false;
    const count = Math.min(length, this.#end - decoder.out);
    if (data + count > input.length) return false;
    for (let i = 0; i < count; i++) {
      if (input[data + i] !== decoder.output[decoder.out + i]) return false;
    }
    decoder.out += count;
    decoder.bit = (data + count) * 8;
    return true;
  }

  /** Follows a block; ends in the middle of it when all has been seen. */
  #coded(input: TokenInput): boolean {
    const stop = this.#decoder.run(input, this.#codes, this.#end, false);
    return stop === "output" || stop === "block";
  }
}
