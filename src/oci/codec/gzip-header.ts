/**
 * Passing over what stands between the deflate streams of a gzip file: the trailer of one member
 * and the header of the next.
 *
 * Spec: RFC 1952, section 2.3.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";

const TRAILER_BYTES = 8;
const FIXED_BYTES = 10;
const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;

type Part = "trailer" | "fixed" | "extra length" | "extra" | "name" | "comment" | "crc" | "done";

/** What follows the fixed part when its flag is set: in this order, with its number of bytes. */
const optional: readonly (readonly [flag: number, part: Part, bytes: number])[] = [
  [FEXTRA, "extra length", 2],
  [FNAME, "name", 0],
  [FCOMMENT, "comment", 0],
  [FHCRC, "crc", 2],
];

/** Takes bytes from the end of a deflate stream on. */
export class GzipGap {
  #part: Part;
  #left = TRAILER_BYTES;
  #at = 0; // in the fixed part
  #flags = 0;
  #extra = 0;
  #coming: (typeof optional)[number][] = [];

  /** @param start what comes first: a header is `fixed` in the beginning */
  constructor(start: "trailer" | "fixed" = "trailer") {
    this.#part = start;
  }

  get done(): boolean {
    return this.#part === "done";
  }

  /**
   * Takes bytes of `chunk` from `at` on; gives where it stopped.
   *
   * @throws {@link FormatError} `MALFORMED` when it is no header of a member
   */
  push(chunk: Uint8Array, at: number): number {
    let next = at;
    while (next < chunk.length && this.#part !== "done") {
      if (this.#part === "trailer" || this.#part === "extra" || this.#part === "crc") {
        const count = Math.min(this.#left, chunk.length - next);
        this.#left -= count;
        next += count;
        if (this.#left === 0) this.#after();
      } else this.#takeByte(chunk[next++]!);
    }
    return next;
  }

  #takeByte(byte: number): void {
    switch (this.#part) {
      case "fixed":
        return this.#takeFixed(byte);
      case "extra length":
        this.#extra = (this.#extra >> 8) | (byte << 8);
        if (--this.#left > 0) return;
        this.#left = this.#extra;
        this.#part = "extra";
        if (this.#left === 0) this.#after();
        return;
      default: // a name or a comment, which end with a zero
        if (byte === 0) this.#after();
    }
  }

  #takeFixed(byte: number): void {
    const expected = [0x1f, 0x8b, 0x08][this.#at];
    if (expected !== undefined && byte !== expected) {
      throw new FormatError("MALFORMED", "gzip: expected another member, got something else");
    }
    if (this.#at === 3) this.#flags = byte;
    if (++this.#at === FIXED_BYTES) this.#after();
  }

  /** The part has come to its end. */
  #after(): void {
    if (this.#part === "trailer") {
      this.#part = "fixed";
      return;
    }
    if (this.#part === "fixed") {
      this.#coming = optional.filter(([flag]) => (this.#flags & flag) !== 0);
    }
    const [, part, bytes] = this.#coming.shift() ?? [0, "done", 0];
    this.#part = part;
    this.#left = bytes;
  }
}
