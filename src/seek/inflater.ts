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
import { BlockCodes, MAX_HEADER_BYTES, SLACK_BYTES } from "./deflate-codes.ts";
import {
  BLOCK_HEADER_BITS,
  DYNAMIC,
  FINAL_BITS,
  FIXED,
  LONGEST_MATCH,
  MOST_STORED_BYTES,
  STORED,
  STORED_HEADER_BYTES,
  TYPE_MASK,
  WINDOW_BYTES,
} from "./deflate-format.ts";
import { TokenDecoder, WINDOW_END } from "./token-decoder.ts";

/**
 * Why the decoder has stopped: it needs more input; output must be taken; a block, or the whole
 * stream, has ended.
 */
export type InflaterStop = "input" | "output" | "block" | "end";

/** Output bytes for each input byte, at most: the longest match takes two bits. */
const MAX_RATIO = 1032;
const OUTPUT_END = 2 * WINDOW_BYTES;

/** What the next bits are. */
type State = "header" | "stored" | "codes" | "ended";

export class Inflater {
  readonly #codes = new BlockCodes();
  readonly #decoder = new TokenDecoder(new Uint8Array(OUTPUT_END + LONGEST_MATCH));
  #taken = WINDOW_END; // end of the output that has been taken
  #input = new Uint8Array(SLACK_BYTES);
  #inputEnd = 0;
  #passed = 0; // bytes of input that #input no longer holds
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
    const decoder = this.#decoder;
    decoder.history = WINDOW_END - known.length;
    decoder.output.set(known, decoder.history);
    decoder.bit = bit;
  }

  /** Bits of the input that have been decoded. */
  get position(): number {
    return this.#passed * 8 + this.#decoder.bit;
  }

  /** Adds input. Input that has been decoded is dropped. */
  push(chunk: Uint8Array): void {
    const gone = this.#decoder.bit >>> 3;
    const kept = this.#inputEnd - gone;
    const needed = kept + chunk.length + SLACK_BYTES;
    const old = this.#input;
    if (old.length < needed) this.#input = new Uint8Array(needed + (needed >> 2));
    this.#input.set(old.subarray(gone, this.#inputEnd));
    this.#input.set(chunk, kept);
    this.#inputEnd = kept + chunk.length;
    this.#input.fill(0, this.#inputEnd, this.#inputEnd + SLACK_BYTES);
    this.#passed += gone;
    this.#decoder.bit -= gone * 8;
  }

  /** Says that no more input will come. */
  finish(): void {
    this.#finished = true;
  }

  /** The output decoded since the last call; valid until `run`. */
  take(): Uint8Array {
    const chunk = this.#decoder.output.subarray(this.#taken, this.#decoder.out);
    this.#taken = this.#decoder.out;
    return chunk;
  }

  /**
   * Decodes until it must stop; all earlier output must have been taken.
   *
   * @throws {@link FormatError} `MALFORMED`, or `TRUNCATED` when the input has ended too early
   */
  run(): InflaterStop {
    this.#slide();
    for (;;) {
      if (this.#state === "ended") return "end";
      const stop = this.#runState();
      if (this.#decoder.bit > this.#inputEnd * 8) throw truncated();
      if (stop === "input") {
        if (this.#finished) throw truncated();
        return stop;
      }
      if (stop !== undefined) return stop;
    }
  }

  #slide(): void {
    if (this.#taken !== this.#decoder.out) throw new TypeError("inflater: output was not taken");
    if (this.#decoder.out < OUTPUT_END) return;
    const from = this.#decoder.out - WINDOW_BYTES;
    this.#decoder.output.copyWithin(0, from, this.#decoder.out);
    this.#decoder.history = Math.max(0, this.#decoder.history - from);
    this.#decoder.out = WINDOW_END;
    this.#taken = WINDOW_END;
  }

  #runState(): InflaterStop | undefined {
    if (this.#state === "header") return this.#header();
    const stop = this.#state === "stored" ? this.#stored() : this.#coded();
    if (stop !== "block") return stop;
    this.#state = this.#final ? "ended" : "header";
    return stop;
  }

  #has(bits: number): boolean {
    return this.#finished || this.#decoder.bit + bits <= this.#inputEnd * 8;
  }

  #header(): InflaterStop | undefined {
    if (!this.#has(BLOCK_HEADER_BITS + MAX_HEADER_BYTES * 8)) return "input";
    if (this.#decoder.bit + BLOCK_HEADER_BITS > this.#inputEnd * 8) throw truncated();
    const input = this.#input;
    const byte = this.#decoder.bit >>> 3;
    const head = (input[byte]! | (input[byte + 1]! << 8)) >>> (this.#decoder.bit & 7);
    this.#final = (head & 1) === 1;
    const type = (head >>> FINAL_BITS) & TYPE_MASK;
    this.#decoder.bit += BLOCK_HEADER_BITS;
    if (type === STORED) return this.#storedHeader();
    if (type === FIXED) this.#codes.useFixed();
    else if (type !== DYNAMIC) throw malformed("reserved type of block");
    else {
      // The header may reach into zeros beyond the end: more of them than the slack holds.
      const rest = this.#inputEnd - (this.#decoder.bit >>> 3);
      if (rest < MAX_HEADER_BYTES) this.#padInput(MAX_HEADER_BYTES);
      if (!this.#codes.readDynamic(this.#input, this.#decoder.bit))
        throw malformed("header of a block");
      this.#decoder.bit = this.#codes.bit;
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
    const at = (this.#decoder.bit + 7) >>> 3;
    if (at + STORED_HEADER_BYTES > this.#inputEnd) throw truncated();
    const input = this.#input;
    this.#left = input[at]! | (input[at + 1]! << 8);
    const inverse = input[at + 2]! | (input[at + 3]! << 8);
    if ((this.#left ^ inverse) !== MOST_STORED_BYTES) throw malformed("length of a stored block");
    this.#decoder.bit = (at + STORED_HEADER_BYTES) * 8;
    this.#state = "stored";
    return undefined;
  }

  #stored(): InflaterStop {
    const at = this.#decoder.bit >>> 3;
    const count = Math.min(this.#left, this.#inputEnd - at, OUTPUT_END - this.#decoder.out);
    this.#decoder.output.set(this.#input.subarray(at, at + count), this.#decoder.out);
    this.#decoder.out += count;
    this.#decoder.bit += count * 8;
    this.#left -= count;
    if (this.#left === 0) return "block";
    return this.#decoder.out === OUTPUT_END ? "output" : "input";
  }

  #coded(): InflaterStop {
    const view = new DataView(this.#input.buffer);
    const input = { view, end: this.#inputEnd * 8, isPart: !this.#finished };
    const stop = this.#decoder.run(input, this.#codes, OUTPUT_END, true);
    if (stop === "bad literal") throw malformed("code of a literal or length");
    if (stop === "bad distance") throw malformed("code of a distance");
    if (stop === "too far" || stop === "unexpected") throw malformed("distance beyond the start");
    return stop;
  }
}

/**
 * Inflates a stream whose output has `size` bytes.
 *
 * @throws {@link FormatError} `MALFORMED` or `TRUNCATED` when it has fewer or more
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
