/**
 * Finding access points of a gzip stream while it is decompressed. The decoder tells where it stops
 * at the end of a deflate block, which is known to a byte only; the bit is found by following the
 * stream from each of the eight over the output that came next. What is found so is proven, whatever
 * the decoder said, and on the way it shows which of the 32 KiB before the point are referred to:
 * only these need to be kept.
 *
 * Points depend on the stream alone, not on how it was cut into chunks: each is the first end of a
 * block that is more than a span after the one before.
 *
 * @module
 */
import { SLACK_BYTES, WINDOW_BYTES } from "./deflate-codes.ts";
import { WindowWalk } from "./window-walk.ts";

/** Output between two access points, at least. */
export const SPAN_BYTES = 256 * 1024;

/** A point from which a raw deflate decoder can start. */
export interface FoundPoint {
  /** Position of the block's first bit in the stream. */
  readonly bit: number;
  /** Bytes of output before it. */
  readonly out: number;
  /** The 32 KiB of output before it, zeros in front where there is less. Valid during the call. */
  readonly window: Uint8Array;
  /** Which of them the stream refers to. Valid during the call. */
  readonly used: Uint8Array;
}

/** Where a block may begin: bytes of the stream and of the output before it. */
interface Candidate {
  readonly input: number;
  readonly out: number;
}

/** Candidates kept; only a stream of tiny blocks has more of them within a window. */
const MAX_CANDIDATES = 64;
const KNOWN_BYTES = 3 * WINDOW_BYTES;
const INPUT_BYTES = 3 * WINDOW_BYTES;

/** Takes what a decoder does, in order; hands over each point that it has found. */
export class PointFinder {
  readonly #found: (point: FoundPoint) => void;
  readonly #span: number;
  readonly #walk = new WindowWalk();
  #inputAt = 0;
  #outAt = 0;
  #next = -1; // ends of blocks after this much output are wanted
  #candidates: Candidate[] = [];
  /** The output from a window before the first candidate on. */
  readonly #known = new Uint8Array(KNOWN_BYTES);
  #knownEnd = 0;
  /** The stream from the byte before the first candidate on. */
  readonly #input = new Uint8Array(INPUT_BYTES + SLACK_BYTES);
  #inputEnd = 0;
  #lastByte = 0;
  readonly #tail = new Uint8Array(WINDOW_BYTES); // of the output

  constructor(found: (point: FoundPoint) => void, span = SPAN_BYTES) {
    this.#found = found;
    this.#span = span;
  }

  /**
   * Bytes of output for which the decoder need not stop at ends of blocks; 0: it has to stop at the
   * next one.
   */
  get patience(): number {
    return this.#candidates.length > 0 ? 0 : Math.max(0, this.#next - this.#outAt);
  }

  /**
   * The decoder has consumed `input`, put out `output`, and stopped: it may be `atEdge`, where a
   * block ends. When it is not told for certain, say that it is.
   */
  step(input: Uint8Array, output: Uint8Array, atEdge: boolean): void {
    if (this.#candidates.length > 0) this.#collect(input, output);
    if (input.length > 0) this.#lastByte = input[input.length - 1]!;
    this.#inputAt += input.length;
    this.#outAt += output.length;
    this.#remember(output);
    while (this.#isSettled()) this.#settle();
    if (atEdge && this.#outAt > this.#next) this.#add();
  }

  /** There is no more. */
  end(): void {
    while (this.#candidates.length > 0) this.#settle();
  }

  #add(): void {
    const input = this.#inputAt;
    if (this.#candidates.length === 0) {
      this.#known.set(this.#tail);
      this.#knownEnd = WINDOW_BYTES;
      this.#input[0] = this.#lastByte;
      this.#inputEnd = 1;
    } else if (this.#candidates.at(-1)!.input === input) return;
    if (this.#candidates.length < MAX_CANDIDATES) {
      this.#candidates.push({ input, out: this.#outAt });
    }
  }

  #collect(input: Uint8Array, output: Uint8Array): void {
    const taken = input.subarray(0, INPUT_BYTES - this.#inputEnd);
    this.#input.set(taken, this.#inputEnd);
    this.#inputEnd += taken.length;
    const known = output.subarray(0, KNOWN_BYTES - this.#knownEnd);
    this.#known.set(known, this.#knownEnd);
    this.#knownEnd += known.length;
  }

  #remember(output: Uint8Array): void {
    const { length } = output;
    if (length === 0) return;
    if (length < WINDOW_BYTES) this.#tail.copyWithin(0, length);
    this.#tail.set(output.subarray(-WINDOW_BYTES), Math.max(0, WINDOW_BYTES - length));
  }

  /** Whether as much follows the first candidate as could refer to what is before it. */
  #isSettled(): boolean {
    const [first] = this.#candidates;
    if (first === undefined) return false;
    return this.#outAt >= first.out + WINDOW_BYTES || this.#inputEnd === INPUT_BYTES;
  }

  /** Judges the first candidate, and makes the next one the first. */
  #settle(): void {
    const [{ input, out }] = this.#candidates as [Candidate];
    const end = this.#inputEnd;
    this.#input.fill(0, end, end + SLACK_BYTES);
    const known = this.#known.subarray(0, Math.min(this.#knownEnd, 2 * WINDOW_BYTES));
    for (let bit = 8; bit > 0; bit--) {
      if (!this.#walk.follow(this.#input, end, bit, known, WINDOW_BYTES)) continue;
      this.#next = out + this.#span;
      const window = known.subarray(0, WINDOW_BYTES);
      this.#found({ bit: (input - 1) * 8 + bit, out, window, used: this.#walk.used });
      break;
    }
    this.#candidates.shift();
    while (this.#candidates.length > 0 && this.#candidates[0]!.out <= this.#next) {
      this.#candidates.shift();
    }
    const [first] = this.#candidates;
    if (first === undefined) return;
    this.#known.copyWithin(0, first.out - out, this.#knownEnd);
    this.#knownEnd -= first.out - out;
    this.#input.copyWithin(0, first.input - input, this.#inputEnd);
    this.#inputEnd -= first.input - input;
  }
}
