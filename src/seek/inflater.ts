/**
 * A decoder of raw deflate streams that can start at any bit where a block begins, given the window
 * before it, and stops at the ends of blocks. Bounded in memory whatever it is given; where speed
 * counts, zlib is faster.
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import {
  BlockCodes,
  DYNAMIC,
  FIXED,
  HOLD_BITS,
  MAX_HEADER_BYTES,
  SLACK_BYTES,
  STORED,
  WINDOW_BYTES,
} from "./deflate-codes.ts";
import { ENTRY_MATCH, ENTRY_VALUE } from "./huffman.ts";

/**
 * Why the decoder has stopped: it wants more input; there is output to be taken; a block, or the
 * whole stream, has come to its end.
 */
export type InflaterStop = "input" | "output" | "block" | "end";

const LONGEST_MATCH = 258;
/** More than 258 bytes for two bits are not to be had. */
const MAX_RATIO = 1032;
/** Bits of the longest token. */
const TOKEN_BITS = 48;
const OUTPUT_END = 2 * WINDOW_BYTES;

/** What the next bits are. */
type State = "header" | "stored" | "codes" | "ended";

export class Inflater {
  readonly #codes = new BlockCodes();
  readonly #output = new Uint8Array(OUTPUT_END + LONGEST_MATCH);
  #out: number; // end of what has been decoded
  #taken: number; // end of what has been taken
  #history: number; // start of what may be referred to
  #input = new Uint8Array(SLACK_BYTES);
  #inputEnd = 0;
  #passed = 0; // bytes of input that are gone from #input
  #bit: number;
  #finished = false;
  #state: State = "header";
  #final = false;
  #left = 0; // bytes of a stored block

  /**
   * @param window output before the first block, as far as it is referred to; up to 32 KiB
   * @param bit of the first byte of input where the first block begins
   */
  constructor(window: Uint8Array = new Uint8Array(0), bit = 0) {
    const known = window.subarray(-WINDOW_BYTES);
    this.#output.set(known, WINDOW_BYTES - known.length);
    this.#history = WINDOW_BYTES - known.length;
    this.#out = WINDOW_BYTES;
    this.#taken = WINDOW_BYTES;
    this.#bit = bit;
  }

  /** Bits of the input that have been decoded. */
  get position(): number {
    return this.#passed * 8 + this.#bit;
  }

  /** Adds input. What has been decoded is let go of. */
  push(chunk: Uint8Array): void {
    const gone = this.#bit >>> 3;
    const kept = this.#inputEnd - gone;
    const needed = kept + chunk.length + SLACK_BYTES;
    const old = this.#input;
    if (old.length < needed) this.#input = new Uint8Array(needed + (needed >> 2));
    this.#input.set(old.subarray(gone, this.#inputEnd));
    this.#input.set(chunk, kept);
    this.#inputEnd = kept + chunk.length;
    this.#input.fill(0, this.#inputEnd, this.#inputEnd + SLACK_BYTES);
    this.#passed += gone;
    this.#bit -= gone * 8;
  }

  /** Says that no more input will come. */
  finish(): void {
    this.#finished = true;
  }

  /** The output decoded since the last call; valid until `run`. */
  take(): Uint8Array {
    const chunk = this.#output.subarray(this.#taken, this.#out);
    this.#taken = this.#out;
    return chunk;
  }

  /**
   * Decodes until something is to be done; all output must have been taken before.
   *
   * @throws {@link FormatError} `MALFORMED`, or `TRUNCATED` when the input has ended too early
   */
  run(): InflaterStop {
    this.#slide();
    for (;;) {
      if (this.#state === "ended") return "end";
      const stop = this.#runState();
      if (this.#bit > this.#inputEnd * 8) throw truncated();
      if (stop === "input") {
        if (this.#finished) throw truncated();
        return stop;
      }
      if (stop !== undefined) return stop;
    }
  }

  #slide(): void {
    if (this.#taken !== this.#out) throw new TypeError("inflater: output was not taken");
    if (this.#out < OUTPUT_END) return;
    const from = this.#out - WINDOW_BYTES;
    this.#output.copyWithin(0, from, this.#out);
    this.#history = Math.max(0, this.#history - from);
    this.#out = WINDOW_BYTES;
    this.#taken = WINDOW_BYTES;
  }

  #runState(): InflaterStop | undefined {
    if (this.#state === "header") return this.#header();
    const stop = this.#state === "stored" ? this.#stored() : this.#coded();
    if (stop !== "block") return stop;
    this.#state = this.#final ? "ended" : "header";
    return stop;
  }

  #has(bits: number): boolean {
    return this.#finished || this.#bit + bits <= this.#inputEnd * 8;
  }

  #header(): InflaterStop | undefined {
    if (!this.#has(3 + MAX_HEADER_BYTES * 8)) return "input";
    if (this.#bit + 3 > this.#inputEnd * 8) throw truncated();
    const input = this.#input;
    const byte = this.#bit >>> 3;
    const head = (input[byte]! | (input[byte + 1]! << 8)) >>> (this.#bit & 7);
    this.#final = (head & 1) === 1;
    const type = (head >>> 1) & 3;
    this.#bit += 3;
    if (type === STORED) return this.#storedHeader();
    if (type === FIXED) this.#codes.useFixed();
    else if (type !== DYNAMIC) throw malformed("reserved type of block");
    else {
      // The header may reach into zeros beyond the end: more of them than the slack holds.
      const rest = this.#inputEnd - (this.#bit >>> 3);
      if (rest < MAX_HEADER_BYTES) this.#padInput(MAX_HEADER_BYTES);
      if (!this.#codes.readDynamic(this.#input, this.#bit)) throw malformed("header of a block");
      this.#bit = this.#codes.bit;
    }
    this.#state = "codes";
    return undefined;
  }

  #padInput(bytes: number): void {
    const needed = this.#inputEnd + bytes;
    if (this.#input.length >= needed) {
      this.#input.fill(0, this.#inputEnd, needed);
      return;
    }
    const padded = new Uint8Array(needed);
    padded.set(this.#input.subarray(0, this.#inputEnd));
    this.#input = padded;
  }

  #storedHeader(): undefined {
    const at = (this.#bit + 7) >>> 3;
    if (at + 4 > this.#inputEnd) throw truncated();
    const input = this.#input;
    this.#left = input[at]! | (input[at + 1]! << 8);
    const inverse = input[at + 2]! | (input[at + 3]! << 8);
    if ((this.#left ^ inverse) !== 0xffff) throw malformed("length of a stored block");
    this.#bit = (at + 4) * 8;
    this.#state = "stored";
    return undefined;
  }

  #stored(): InflaterStop {
    const at = this.#bit >>> 3;
    const count = Math.min(this.#left, this.#inputEnd - at, OUTPUT_END - this.#out);
    this.#output.set(this.#input.subarray(at, at + count), this.#out);
    this.#out += count;
    this.#bit += count * 8;
    this.#left -= count;
    if (this.#left === 0) return "block";
    return this.#out === OUTPUT_END ? "output" : "input";
  }

  #coded(): InflaterStop {
    const { literals, distances } = this.#codes;
    const { entries: literalEntries, mask: literalMask } = literals;
    const { entries: distanceEntries, mask: distanceMask } = distances;
    const input = this.#input;
    const output = this.#output;
    const view = new DataView(input.buffer);
    const end = this.#inputEnd * 8;
    const safe = this.#finished ? end : end - TOKEN_BITS;
    let bit = this.#bit;
    let out = this.#out;
    let stop: InflaterStop;
    for (;;) {
      if (out >= OUTPUT_END || bit > safe) {
        stop = out >= OUTPUT_END ? "output" : "input";
        break;
      }
      const before = bit;
      let hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      let entry = literalEntries[hold & literalMask]!;
      if (entry === 0) entry = literals.decodeLong(hold);
      let width = entry & 15;
      if (width === 0) throw malformed("code of a literal or length");
      bit += width;
      let further = (entry >>> 4) & 15;
      const value = (entry >>> ENTRY_VALUE) + ((hold >>> width) & ((1 << further) - 1));
      const isMatch = (entry & ENTRY_MATCH) !== 0;
      if (!isMatch || value === 0) {
        if (bit > end) {
          bit = before;
          stop = "input";
          break;
        }
        if (!isMatch) {
          output[out++] = value;
          continue;
        }
        stop = "block";
        break;
      }
      bit += further;
      hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      entry = distanceEntries[hold & distanceMask]!;
      if (entry === 0) entry = distances.decodeLong(hold);
      width = entry & 15;
      if (width === 0) throw malformed("code of a distance");
      further = (entry >>> 4) & 15;
      bit += width;
      if (width + further <= HOLD_BITS) hold >>>= width;
      else hold = view.getUint32(bit >>> 3, true) >>> (bit & 7);
      bit += further;
      if (bit > end) {
        bit = before;
        stop = "input";
        break;
      }
      const distance = (entry >>> ENTRY_VALUE) + (hold & ((1 << further) - 1));
      const from = out - distance;
      if (from < this.#history) throw malformed("distance beyond the start");
      if (distance >= value) output.copyWithin(out, from, from + value);
      else for (let i = 0; i < value; i++) output[out + i] = output[from + i]!;
      out += value;
    }
    this.#bit = bit;
    this.#out = out;
    return stop;
  }
}

/**
 * Inflates what is known to give `size` bytes.
 *
 * @throws {@link FormatError} `MALFORMED` or `TRUNCATED` when it does not, or gives more
 */
export function inflateExactly(bytes: Uint8Array, size: number): Uint8Array {
  if (size > bytes.length * MAX_RATIO) {
    throw malformed(`${size} bytes cannot come of ${bytes.length}`);
  }
  const inflater = new Inflater();
  inflater.push(bytes);
  inflater.finish();
  const result = new Uint8Array(size);
  for (let at = 0; ;) {
    const stop = inflater.run();
    const chunk = inflater.take();
    if (at + chunk.length > size) throw malformed(`more than ${size} bytes`);
    result.set(chunk, at);
    at += chunk.length;
    if (stop !== "end") continue;
    if (at < size) throw new FormatError("TRUNCATED", `deflate: ${at} of ${size} bytes`);
    return result;
  }
}

function malformed(message: string): FormatError {
  return new FormatError("MALFORMED", `deflate: ${message}`);
}

function truncated(): FormatError {
  return new FormatError("TRUNCATED", "deflate: the stream is cut short");
}
