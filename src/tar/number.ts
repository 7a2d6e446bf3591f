/**
 * Numbers in tar headers: the octal form of POSIX.1-1988 ustar, and GNU's base-256 for what octal
 * cannot hold. The grammar is what readers agree on: spaces, octal digits, then spaces or NULs to the
 * end of the field, or a NUL and whatever is behind it; without digits, NULs and spaces are 0, also with
 * zeros among them, but not spaces alone. The digits may fill the field, as busybox tar writes user ids
 * that need more.
 *
 * Spec: docs/profiles.md, "Header blocks".
 *
 * @module
 */
import { printable, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";

const ZERO = 0x30;
const SEVEN = 0x37;
const SPACE = 0x20;

/**
 * The number in the `width` bytes at `at`.
 *
 * @throws {@link FormatError} `MALFORMED`, or `OUT_OF_RANGE` when it is negative or over `max`
 */
export function parseNumber(
  bytes: Uint8Array,
  at: number,
  width: number,
  name: string,
  max: number,
): number {
  if (bytes[at]! >= 0x80) {
    const value = parseBase256(bytes, at, width);
    if (value < 0n || value > max) throw outOfRange(name, max, value);
    return Number(value);
  }
  const value = parseOctal(bytes, at, width, name);
  if (value > max) throw outOfRange(name, max, value);
  return value;
}

/**
 * The 64-bit signed number in the `width` bytes at `at`: a time.
 *
 * @throws {@link FormatError} `MALFORMED`, `OUT_OF_RANGE`
 */
export function parseSeconds(bytes: Uint8Array, at: number, width: number, name: string): bigint {
  if (bytes[at]! < 0x80) return BigInt(parseOctal(bytes, at, width, name));
  return checkSeconds(parseBase256(bytes, at, width), name);
}

/** @throws {@link FormatError} `OUT_OF_RANGE` when `seconds` need more than 64 bits */
export function checkSeconds(seconds: bigint, name: string): bigint {
  if (BigInt.asIntN(64, seconds) !== seconds) {
    throw new FormatError("OUT_OF_RANGE", `${name}: expected a 64-bit number, got ${seconds}`);
  }
  return seconds;
}

/** @throws {@link FormatError} `MALFORMED` */
export function parseOctal(bytes: Uint8Array, at: number, width: number, name: string): number {
  const end = at + width;
  let i = at;
  while (i < end && bytes[i] === SPACE) i++;
  const first = i;
  let value = 0;
  for (; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < ZERO || byte > SEVEN) break;
    value = value * 8 + byte - ZERO;
  }
  if (i > first && bytes[i] === 0 && i < end) return value; // the NUL ends it
  const empty = i === first; // GNU tar refuses spaces alone
  i = afterBlanks(bytes, i, end);
  if (empty && first < end) {
    while (i < end && bytes[i] === ZERO) i++;
    i = afterBlanks(bytes, i, end);
  }
  if (i === end && first < end) return value;
  const found = printable(toByteString(bytes, at, end));
  throw new FormatError(
    "MALFORMED",
    `${name}: expected octal digits, then spaces or NULs, got "${found}"`,
  );
}

function afterBlanks(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && (bytes[i] === 0 || bytes[i] === SPACE)) i++;
  return i;
}

/** The low bits of the number in the `width` bytes at `at`, whatever its size and sign. */
export function parseBits(
  bytes: Uint8Array,
  at: number,
  width: number,
  name: string,
  bits: number,
): number {
  if (bytes[at]! < 0x80) return parseOctal(bytes, at, width, name) % 2 ** bits;
  checkFirstByte(bytes, at, width, name);
  return Number(BigInt.asUintN(bits, parseBase256(bytes, at, width)));
}

/**
 * Checks a number that nobody needs: there the field may also begin with NULs, or be blank. With
 * `max`, one in base-256 lies from 0 to that.
 *
 * @throws {@link FormatError} `MALFORMED`, `OUT_OF_RANGE`
 */
export function checkUnused(
  bytes: Uint8Array,
  at: number,
  width: number,
  name: string,
  max?: number,
): void {
  const end = at + width;
  const i = afterBlanks(bytes, at, end);
  if (i === end) return;
  if (i > at || bytes[at]! < 0x80) {
    parseOctal(bytes, i, end - i, name);
    return;
  }
  checkFirstByte(bytes, at, width, name);
  const value = checkSeconds(parseBase256(bytes, at, width), name);
  if (max !== undefined && (value < 0n || value > max)) throw outOfRange(name, max, value);
}

// The first bit marks the form; the rest is a big-endian number in two's complement.
function parseBase256(bytes: Uint8Array, at: number, width: number): bigint {
  let value = BigInt(bytes[at]! & 0x7f);
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(bytes[i]!);
  return BigInt.asIntN(width * 8 - 1, value);
}

/** For numbers of any size: GNU tar and Python know no more than the sign in the first byte. */
function checkFirstByte(bytes: Uint8Array, at: number, width: number, name: string): void {
  if (bytes[at] === 0x80 || bytes[at] === 0xff) return;
  const found = printable(toByteString(bytes, at, at + width));
  throw new FormatError(
    "MALFORMED",
    `${name}: expected a base-256 number that begins with 0x80 or 0xff, got "${found}"`,
  );
}

function outOfRange(name: string, max: number, value: number | bigint): FormatError {
  return new FormatError("OUT_OF_RANGE", `${name}: expected 0 to ${max}, got ${value}`);
}
