/**
 * Numbers in options.
 *
 * @module
 */
import { UsageError } from "../../errors.ts";

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
