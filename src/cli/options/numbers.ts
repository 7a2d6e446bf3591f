/**
 * Numbers in options.
 *
 * @module
 */
import { UsageError } from "../../errors.ts";

/** A parser for an option that takes a whole number from `least` to nine digits. */
export function wholeNumber(option: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]{1,9}$/.test(text) && value >= least) return value;
    throw new UsageError(
      "USAGE",
      `${option}: expected a whole number from ${least}, got ${JSON.stringify(text)}`,
    );
  };
}
