/**
 * Numbers in tar headers: the octal form of POSIX.1-1988 ustar, and GNU's base-256 for what octal
 * cannot hold. One strict grammar: octal digits, then spaces or NULs to the end of the field; a field
 * of NULs only is 0. The digits may fill the field, as busybox tar writes user ids that need more.
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
  let value = 0;
  for (; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < ZERO || byte > SEVEN) break;
    value = value * 8 + byte - ZERO;
  }
  // No digit: the field must be NULs only.
  const empty = i === at;
  let good = true;
  for (; i < end; i++) good &&= bytes[i] === 0 || (bytes[i] === SPACE && !empty);
  if (!good) {
    const found = printable(toByteString(bytes, at, end));
    throw new FormatError(
      "MALFORMED",
      `${name}: expected octal digits, then spaces or NULs, got "${found}"`,
    );
  }
  return value;
}

// The first bit marks the form; the rest is a big-endian number in two's complement.
function parseBase256(bytes: Uint8Array, at: number, width: number): bigint {
  let value = BigInt(bytes[at]! & 0x7f);
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(bytes[i]!);
  return BigInt.asIntN(width * 8 - 1, value);
}

function outOfRange(name: string, max: number, value: number | bigint): FormatError {
  return new FormatError("OUT_OF_RANGE", `${name}: expected 0 to ${max}, got ${value}`);
}
