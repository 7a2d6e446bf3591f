/**
 * Finding access points of a gzip stream while it is decompressed. The decoder tells where it stops
 * at the end of a deflate block, which is known to a byte only; the bit is found by following the
 * stream from each of the eight over the output that came next. A point found like this is proven by
 * its first kilobyte, whatever the decoder said; following also shows which of the 32 KiB before the
 * point are referred to, and only these are kept.
 *
 * Points depend on the stream alone, not on how it was cut into chunks: each is the first end of a
 * block that is more than a span after the one before.
 *
 * Spec: docs/seek-index.md, "How points are found".
 *
 * @module
 */
import { SLACK_BYTES } from "./deflate-codes.ts";
import { WINDOW_BYTES } from "./deflate-format.ts";
import { WindowWalk } from "./window-walk.ts";

/** Output between two access points, at least. */
const SPAN_BYTES = 256 * 1024;

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
const MAX_CANDIDATES = 512;
const KNOWN_BYTES = 3 * WINDOW_BYTES;
const INPUT_BYTES = 3 * WINDOW_BYTES;

/** Is told each step of a decoder, in order; reports each point that it has found. */
export class PointFinder {
  readonly #found: (point: FoundPoint) => void;
  readonly #span: number;
  readonly #walk = new WindowWalk();
  #inputAt = 0;
  #outAt = 0;
  #next = -1; // ends of blocks after this much output are wanted
  #candidates: Candidate[] = [];
  #baseInput = 0; // of the first candidate when the following two were begun
  #baseOut = 0;
  /** The output from a window before the base on. */
  readonly #known = new Uint8Array(KNOWN_BYTES);
  #knownEnd = 0;
  /** The stream from the byte before the base on. */
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
   * The decoder has consumed `input`, put out `output` from `from` to `to`, and stopped: it may be
   * `atEdge`, where a block ends; true when that is not certain. Before `from` lies the earlier
   * output; once `output` is full it may be reused.
   */
  step(input: Uint8Array, output: Uint8Array, from: number, to: number, atEdge: boolean): void {
    if (this.#candidates.length > 0) this.#collect(input, output, from, to);
    if (input.length > 0) this.#lastByte = input[input.length - 1]!;
    this.#inputAt += input.length;
    this.#outAt += to - from;
    this.#settleSome();
    if (atEdge && this.#outAt > this.#next) this.#add(output, to);
    if (to === output.length) copyTail(this.#tail, this.#tail, output, to);
  }

  /** The stream has ended. */
  end(): void {
    while (this.#candidates.length > 0) this.#settle();
  }

  #settleSome(): void {
    const [base] = this.#candidates;
    if (base === undefined) return;
    if (this.#inputEnd === INPUT_BYTES && this.#outAt < base.out + WINDOW_BYTES) {
      // Hardly any output from much input: to try each candidate would take for ever.
      this.#settle();
      this.#candidates = [];
      this.#next = Math.max(this.#next, this.#outAt);
    }
    while (this.#isSettled()) this.#settle();
    this.#rebase();
  }

  #add(output: Uint8Array, end: number): void {
    const input = this.#inputAt;
    if (this.#candidates.length === 0) {
      copyTail(this.#known, this.#tail, output, end);
      this.#knownEnd = WINDOW_BYTES;
      this.#input[0] = this.#lastByte;
      this.#inputEnd = 1;
      this.#baseInput = input;
      this.#baseOut = this.#outAt;
    } else if (this.#candidates.at(-1)!.input === input) return;
    if (this.#candidates.length < MAX_CANDIDATES) {
      this.#candidates.push({ input, out: this.#outAt });
    }
  }

  #collect(input: Uint8Array, output: Uint8Array, from: number, to: number): void {
    const taken = input.subarray(0, INPUT_BYTES - this.#inputEnd);
    this.#input.set(taken, this.#inputEnd);
    this.#inputEnd += taken.length;
    // Output beyond the window of the last candidate is never used.
    const isLast = this.#candidates.length === 1 && this.#isSettled(to - from);
    const room = (isLast ? 2 * WINDOW_BYTES : KNOWN_BYTES) - this.#knownEnd;
    const known = output.subarray(from, Math.min(to, from + room));
    this.#known.set(known, this.#knownEnd);
    this.#knownEnd += known.length;
  }

  /** Whether all output that can refer to the window before the first candidate is known. */
  #isSettled(more = 0): boolean {
    const [first] = this.#candidates;
    return first !== undefined && this.#outAt + more >= first.out + WINDOW_BYTES;
  }

  /** Decides on the first candidate, and drops it and those too close behind a point. */
  #settle(): void {
    const { input, out } = this.#candidates.shift()!;
    const end = this.#inputEnd;
    this.#input.fill(0, end, end + SLACK_BYTES);
    const shift = out - this.#baseOut;
    const known = this.#known.subarray(shift, Math.min(this.#knownEnd, shift + 2 * WINDOW_BYTES));
    const first = (input - this.#baseInput) * 8;
    this.#walk.begin(known);
    for (let bit = 8; bit > 0; bit--) {
      if (!this.#walk.follow(this.#input, end, first + bit)) continue;
      this.#next = out + this.#span;
      const window = known.subarray(0, WINDOW_BYTES);
      this.#found({ bit: (input - 1) * 8 + bit, out, window, used: this.#walk.used });
      break;
    }
    while (this.#candidates.length > 0 && this.#candidates[0]!.out <= this.#next) {
      this.#candidates.shift();
    }
  }

  /** Drops what lies before the first candidate. */
  #rebase(): void {
    const [first] = this.#candidates;
    if (first === undefined || first.input === this.#baseInput) return;
    const known = first.out - this.#baseOut;
    this.#known.copyWithin(0, known, this.#knownEnd);
    this.#knownEnd -= known;
    const input = first.input - this.#baseInput;
    this.#input.copyWithin(0, input, this.#inputEnd);
    this.#inputEnd -= input;
    this.#baseOut = first.out;
    this.#baseInput = first.input;
  }
}

/** Puts into `target` the window that ends at `end` of `output`, before which `tail` came. */
function copyTail(target: Uint8Array, tail: Uint8Array, output: Uint8Array, end: number): void {
  const missing = Math.max(0, WINDOW_BYTES - end);
  target.set(tail.subarray(WINDOW_BYTES - missing));
  target.set(output.subarray(Math.max(0, end - WINDOW_BYTES), end), missing);
}
