/**
 * Values of pax records: names, numbers and times.
 *
 * Spec: docs/profiles.md, "Extended headers"; POSIX.1-2017 pax, "pax Extended Header Keyword
 * Precedence" and "pax Extended Header File Times".
 *
 * @module
 */
import { type ByteString, ascii, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { checkSeconds } from "./number.ts";

export interface PaxTime {
  /** Rounded down. */
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/**
 * Empty, it would delete an earlier record (POSIX), be ignored (Go) or be the name (Python): whoever
 * needs the name refuses that.
 *
 * @throws {@link FormatError} `MALFORMED`
 */
export function parseName(key: string, value: ByteString): ByteString {
  if (value.includes("\0")) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected a name without NUL, got "${printable(value)}"`,
    );
  }
  return value;
}

/** @throws {@link FormatError} `MALFORMED`, `OUT_OF_RANGE` */
export function parseDecimal(key: string, value: string, max: number): number {
  if (!/^(?:-0+|0*[0-9]{1,20})$/.test(value)) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected a decimal number, got "${printable(ascii(value))}"`,
    );
  }
  if (Number(value) > max) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `pax record "${key}": expected 0 to ${max}, got ${value}`,
    );
  }
  return Math.abs(Number(value)); // -0 is 0
}

/**
 * Decimal seconds; digits beyond nanoseconds are cut off.
 *
 * @throws {@link FormatError} `MALFORMED`, `OUT_OF_RANGE`
 */
export function parseTime(key: string, value: ByteString): PaxTime {
  const match = /^(-?)([0-9]{1,20})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected decimal seconds, got "${printable(value)}"`,
    );
  }
  const [, minus, whole, fraction = ""] = match;
  let seconds = BigInt(whole!);
  let nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (minus === "-") {
    seconds = -seconds;
    if (nanoseconds > 0) {
      seconds -= 1n;
      nanoseconds = 1_000_000_000 - nanoseconds;
    }
  }
  return { seconds: checkSeconds(seconds, `pax record "${key}"`), nanoseconds };
}
