/**
 * One line of a dump file, split into its fields without copying them.
 *
 * Spec: docs/image-format.md, "Lines and fields" and "Numbers".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import {
  EscapeFinder,
  cutAtNul,
  isLowerHex,
  plainDecimal,
  plainOctal,
  strtoull,
  unescape,
} from "./dump-fields.ts";

// Fields in their order; what follows the last one are the xattrs.
export const PATH = 0;
export const SIZE = 1;
export const MODE = 2;
export const NLINK = 3;
export const UID = 4;
export const GID = 5;
export const RDEV = 6;
export const MTIME = 7;
export const PAYLOAD = 8;
export const CONTENT = 9;
export const DIGEST = 10;
const NAMES = "PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST".split(" ");

const AT = 0x40;
const DASH = 0x2d;
const SLASH = 0x2f;
const U32 = 0xffffffffn;

/** A movable view of one line. */
export class DumpLine {
  #text = "";
  #escapes = new EscapeFinder("");
  /** The first NUL. A field, since V8 may move a local's search into the loop over lines. */
  #nul = -1;
  #start = 0;
  #end = 0;
  /** Where each field ends. */
  readonly #ends = new Int32Array(NAMES.length);
  // Many files have the same time: their seconds are one value in memory.
  #seconds: number | bigint = 0;
  #bigSeconds = 0n;

  /** The text in which the next lines lie. */
  load(text: string): void {
    this.#text = text;
    this.#escapes = new EscapeFinder(text);
    this.#nul = text.indexOf("\0");
  }

  /**
   * Moves to the line in a range of the text; lines must come in ascending order.
   *
   * @throws {@link FormatError} `MALFORMED` when it has a NUL byte
   */
  move(start: number, end: number): void {
    if (this.#nul !== -1 && this.#nul < end) throw new FormatError("MALFORMED", "a NUL byte");
    this.#start = start;
    this.#end = end;
    // Missing fields are empty and lie at the line's end.
    let at = start;
    for (let field = 0; field < NAMES.length; field++) {
      const space = at > end ? -1 : this.#text.indexOf(" ", at);
      const stop = space === -1 || space > end ? end : space;
      this.#ends[field] = stop;
      at = stop + 1;
    }
  }

  /** What follows the last field; "" when nothing does. */
  xattrs(): string {
    return this.#text.slice(Math.min(this.#ends[DIGEST]! + 1, this.#end), this.#end);
  }

  /** Whether MODE says that the line is a hard link. */
  get linked(): boolean {
    return this.#text.charCodeAt(this.#startOf(MODE)) === AT;
  }

  /** A field without its escapes. Such fields should be asked for in ascending order. */
  string(field: number): ByteString {
    const start = this.#startOf(field);
    const end = this.#ends[field]!;
    const raw = this.#text.slice(start, end);
    return this.#escapes.within(start, end) ? unescape(raw) : (raw as ByteString);
  }

  /** As {@link string}; undefined for "-". */
  optional(field: number): ByteString | undefined {
    const start = this.#startOf(field);
    const dash = this.#ends[field]! - start === 1 && this.#text.charCodeAt(start) === DASH;
    return dash ? undefined : this.string(field);
  }

  /**
   * The first `digits` digits of DIGEST in lower case; undefined for "-", "" when the field holds
   * anything else. Digits behind them are ignored, as mkcomposefs does.
   */
  digest(digits: number): string | undefined {
    const start = this.#startOf(DIGEST);
    // The usual case: looking at the text is faster than taking a slice of it.
    if (this.#ends[DIGEST]! - start === digits && isLowerHex(this.#text, start, start + digits)) {
      return this.#text.slice(start, start + digits);
    }
    const field = this.optional(DIGEST);
    if (field === undefined) return undefined;
    const hex = cutAtNul(field).slice(0, digits).toLowerCase();
    return hex.length === digits && isLowerHex(hex, 0, digits) ? hex : "";
  }

  /**
   * Whether PAYLOAD is the digest in DIGEST, see {@link digest}, with a slash behind two digits.
   */
  payloadFollows(digest: string): boolean {
    const text = this.#text;
    const start = this.#startOf(PAYLOAD);
    return (
      digest !== "" &&
      this.#ends[PAYLOAD]! - start === digest.length + 1 &&
      text.charCodeAt(start + 2) === SLASH &&
      text.charCodeAt(start) === digest.charCodeAt(0) &&
      text.charCodeAt(start + 1) === digest.charCodeAt(1) &&
      text.slice(start + 3, this.#ends[PAYLOAD]) === digest.slice(2)
    );
  }

  /** MODE without the mark of hard links. */
  mode(): number {
    const start = this.#startOf(MODE) + (this.linked ? 1 : 0);
    const end = this.#ends[MODE]!;
    const plain = plainOctal(this.#text, start, end);
    if (plain >= 0) return plain >>> 0;
    const value = strtoull(this.#text.slice(start, end), 8);
    if (value === undefined) throw this.#notNumber(MODE);
    return Number(value & U32);
  }

  /** An unsigned 64-bit field; a `bigint` only when it does not fit a number. */
  u64(field: number): number | bigint {
    return this.#number(field, this.#startOf(field), this.#ends[field]!);
  }

  /** A field cut to 32 bits; with `lenient`, 0 instead of an error when it is no number. */
  u32(field: number, lenient = false): number {
    const start = this.#startOf(field);
    const end = this.#ends[field]!;
    const plain = plainDecimal(this.#text, start, end);
    if (plain >= 0) return plain >>> 0;
    const value = strtoull(this.#text.slice(start, end), 10);
    if (value !== undefined) return Number(value & U32);
    if (lenient) return 0;
    throw this.#notNumber(field);
  }

  /** MTIME: two integers around a dot, no fraction. */
  time(): { readonly seconds: bigint; readonly nanoseconds: number } {
    const start = this.#startOf(MTIME);
    const end = this.#ends[MTIME]!;
    const dot = this.#text.indexOf(".", start);
    if (dot === -1 || dot >= end) throw this.#notNumber(MTIME);
    const seconds = this.#number(MTIME, start, dot);
    const nanoseconds = this.#number(MTIME, dot + 1, end);
    if (seconds !== this.#seconds) {
      this.#seconds = seconds;
      this.#bigSeconds = BigInt.asIntN(64, BigInt(seconds));
    }
    return {
      seconds: this.#bigSeconds,
      nanoseconds: typeof nanoseconds === "number" ? nanoseconds >>> 0 : Number(nanoseconds & U32),
    };
  }

  #startOf(field: number): number {
    if (field === 0) return this.#start;
    return Math.min(this.#ends[field - 1]! + 1, this.#ends[field]!);
  }

  #number(field: number, start: number, end: number): number | bigint {
    const plain = plainDecimal(this.#text, start, end);
    if (plain >= 0) return plain;
    const value = strtoull(this.#text.slice(start, end), 10);
    if (value === undefined) throw this.#notNumber(field);
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  #notNumber(field: number): FormatError {
    const got = this.#text.slice(this.#startOf(field), this.#ends[field]).slice(0, 40);
    return new FormatError(
      "MALFORMED",
      `${NAMES[field]}: expected ${field === MTIME ? "SECONDS.NANOSECONDS" : "a number"}, got ${JSON.stringify(got)}`,
    );
  }
}
