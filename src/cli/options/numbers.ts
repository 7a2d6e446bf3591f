/**
 * Numbers in options.
 *
 * @module
 */
import { UsageError } from "../../errors.ts";
import { formatBytes } from "../terminal/units.ts";

const UNITS = ["", "K", "M", "G", "T"];

/**
 * A parser for an option that takes bytes up to `most`: a whole number, with `K`, `M`, `G` or `T` for
 * powers of 1024 (`KiB`, `KB` and lower case are the same).
 */
export function byteCount(option: string, most: number): (text: string) => number {
  return (text) => {
    const match = /^([0-9]{1,15})([KMGT]?)(?:i?B)?$/i.exec(text);
    const value = Number(match?.[1]) * 1024 ** UNITS.indexOf((match?.[2] ?? "").toUpperCase());
    if (match !== null && value > 0 && value <= most) return value;
    throw new UsageError(
      "USAGE",
      `${option}: expected bytes, such as 8G, up to ${formatBytes(most)}, got ${JSON.stringify(text)}`,
    );
  };
}

/** A parser for an option that takes a whole number from `least` to `most`. */
export function wholeNumber(
  option: string,
  least: number,
  most = 999_999_999,
): (text: string) => number {
  const range = most === 999_999_999 ? `from ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = Number(text);
    if (/^[0-9]{1,9}$/.test(text) && value >= least && value <= most) return value;
    throw new UsageError(
      "USAGE",
      `${option}: expected a whole number ${range}, got ${JSON.stringify(text)}`,
    );
  };
}
