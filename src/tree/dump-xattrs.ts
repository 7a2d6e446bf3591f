/**
 * The xattrs at the end of a dump line.
 *
 * Spec: composefs image format, section 11, rule 12.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { cutAtNul, unescape } from "./dump-fields.ts";

const TEXT_MAX = 65535;
const KEY_MAX = 255;
const VALUE_MAX = 65535;
/** Limit of the accounted size: once 12, and 7 + key + value for each. */
const TOTAL_MAX = 32767;
const HEADER_COST = 12;
const ENTRY_COST = 7;

interface Pair {
  readonly key: ByteString;
  readonly value: ByteString;
}

/** Pairs that many files share, such as SELinux labels, are decoded once. */
const CACHED_PAIRS = 4096;
const CACHED_LENGTH = 256;

/** Reads the xattr part of lines. */
export class XattrReader {
  readonly #pairs = new Map<string, Pair>();

  /**
   * Adds the xattrs in a range of `text` to `xattrs`; a key that comes again replaces its value.
   *
   * @throws {@link FormatError} `MALFORMED` or `LIMIT`
   */
  readInto(xattrs: Map<ByteString, ByteString>, text: string, start: number, end: number): void {
    if (end - start > TEXT_MAX) {
      throw new FormatError("LIMIT", `xattrs: expected at most ${TEXT_MAX} bytes of text`);
    }
    let cost = 0;
    for (let at = start; at < end;) {
      const space = text.indexOf(" ", at);
      const stop = space === -1 || space > end ? end : space;
      const { key, value } = this.#pair(text.slice(at, stop));
      at = stop + 1;
      const old = xattrs.get(key);
      if (old !== undefined) {
        xattrs.delete(key);
        cost = xattrs.size === 0 ? 0 : cost - ENTRY_COST - key.length - old.length;
      }
      if (xattrs.size === 0) cost += HEADER_COST;
      cost += ENTRY_COST + key.length + value.length;
      if (cost > TOTAL_MAX) {
        throw new FormatError("LIMIT", `xattrs: accounted size over ${TOTAL_MAX} bytes`);
      }
      xattrs.set(key, value);
    }
  }

  #pair(raw: string): Pair {
    let pair = this.#pairs.get(raw);
    if (pair === undefined) {
      pair = parsePair(raw);
      if (raw.length <= CACHED_LENGTH) {
        if (this.#pairs.size >= CACHED_PAIRS) this.#pairs.clear();
        this.#pairs.set(raw, pair);
      }
    }
    return pair;
  }
}

function parsePair(raw: string): Pair {
  const equals = raw.indexOf("=");
  if (equals === -1) throw new FormatError("MALFORMED", "xattr: missing =");
  const key = cutAtNul(unescape(raw.slice(0, equals)));
  const value = unescape(raw.slice(equals + 1));
  if (key.length === 0 || key.length > KEY_MAX) {
    throw new FormatError("LIMIT", `xattr key: expected 1 to ${KEY_MAX} bytes, got ${key.length}`);
  }
  if (value.length > VALUE_MAX) {
    throw new FormatError("LIMIT", `xattr value: expected at most ${VALUE_MAX} bytes`);
  }
  return { key, value };
}
