/**
 * The fields of a dump line: escaped byte strings and numbers as C's strtoull reads them.
 *
 * Spec: docs/image-format.md, "Lines and fields" and "Numbers".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";

const MAX_U64 = (1n << 64n) - 1n;
const NAMED_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Undoes `\\`, `\n`, `\r`, `\t` and `\xHH`.
 *
 * @throws {@link FormatError} `MALFORMED` for any other escape and for a cut one
 */
export function unescape(raw: string): ByteString {
  let out = "";
  let from = 0;
  for (let at = raw.indexOf("\\"); at !== -1; at = raw.indexOf("\\", from)) {
    out += raw.slice(from, at);
    const kind = raw.charAt(at + 1);
    if (kind === "x") {
      const high = hexDigit(raw.charCodeAt(at + 2));
      const low = hexDigit(raw.charCodeAt(at + 3));
      if (high < 0 || low < 0) throw badEscape(raw, at);
      out += String.fromCharCode(high * 16 + low);
      from = at + 4;
    } else {
      const char = NAMED_ESCAPES.get(kind);
      if (char === undefined) throw badEscape(raw, at);
      out += char;
      from = at + 2;
    }
  }
  return (from === 0 ? raw : out + raw.slice(from)) as ByteString;
}

function badEscape(raw: string, at: number): FormatError {
  const got = JSON.stringify(raw.slice(at, at + 4));
  return new FormatError("MALFORMED", `escape: expected \\\\, \\n, \\r, \\t or \\xHH, got ${got}`);
}

/** The value of a hex digit's character code; -1 for anything else, NaN (past the end) included. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Whether a range has nothing but digits and a to f. */
export function isLowerHex(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x66 || (code > 0x39 && code < 0x61)) return false;
  }
  return true;
}

/** As C does with a string: what stands before the first NUL. */
export function cutAtNul(text: ByteString): ByteString {
  const nul = text.indexOf("\0");
  return nul === -1 ? text : (text.slice(0, nul) as ByteString);
}

/**
 * Tells which ranges of a text have escapes, at the cost of about one search for each backslash.
 * Ranges should come in ascending order; going back costs a search more.
 */
export class EscapeFinder {
  readonly #text: string;
  #next = -1;
  /** No backslash stands between here and `next`. */
  #from = 0;

  constructor(text: string) {
    this.#text = text;
    this.#next = text.indexOf("\\");
  }

  /** Whether a range has an escape. */
  within(start: number, end: number): boolean {
    if (start < this.#from) this.#next = this.#text.indexOf("\\", start);
    this.#from = start;
    while (this.#next !== -1 && this.#next < start) this.#next = this.#text.indexOf("\\", start);
    return this.#next !== -1 && this.#next < end;
  }
}

/** Decimal or octal digits whose value is surely below 2^53, so exact. */
const SAFE_DIGITS = 15;

/**
 * The number in a range of plain decimal digits; -1 when it needs {@link strtoull}: signs, spaces,
 * many digits or junk.
 */
export function plainDecimal(text: string, start: number, end: number): number {
  if (start === end || end - start > SAFE_DIGITS) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** As {@link plainDecimal}, for octal. */
export function plainOctal(text: string, start: number, end: number): number {
  if (start === end || end - start > SAFE_DIGITS) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 7) return -1;
    value = value * 8 + digit;
  }
  return value;
}

/**
 * A whole field as C's `strtoull`: leading white space, a sign that wraps around 2^64, and overflow
 * that saturates.
 *
 * @returns undefined when the field is no number
 */
export function strtoull(field: string, radix: 8 | 10): bigint | undefined {
  const digits = radix === 8 ? /^[\t\v\f\r ]*([+-]?)([0-7]+)$/ : /^[\t\v\f\r ]*([+-]?)([0-9]+)$/;
  const match = digits.exec(field);
  if (match === null) return undefined;
  const magnitude = BigInt(radix === 8 ? `0o${match[2]!}` : match[2]!);
  if (magnitude > MAX_U64) return MAX_U64;
  return match[1] === "-" ? BigInt.asUintN(64, -magnitude) : magnitude;
}
