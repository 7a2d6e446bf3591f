/**
 * The `Range` of a request (RFC 9110, section 14).
 *
 * @module
 */

/** Bytes from `start` to `end`, both sent. */
export interface SentRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What to send of `size` bytes: `whole` when the header is absent, asks for several ranges or makes
 * no sense, which RFC 9110 lets a server ignore; `none` when the range lies behind the end.
 */
export function parseRange(header: string | undefined, size: number): SentRange | "whole" | "none" {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (match === null) return "whole";
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return "whole";
    const count = Math.min(Number(last), size);
    return count === 0 ? "none" : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return "whole";
  return start >= size ? "none" : { start, end };
}
