/**
 * The xattrs at the end of a dump line.
 *
 * Spec: docs/image-format.md, "Xattrs in dump lines".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { cutAtNul, unescape } from "./dump-fields.ts";
import type { Xattrs } from "./inode.ts";

/** Of the accounted size (`limits.dumpXattrsAccount`): once, and beside key and value for each. */
const HEADER_COST = 12;
const ENTRY_COST = 7;

/** Texts that many files share, such as an SELinux label, are read once. */
const CACHED_TEXTS = 4096;
const CACHED_LENGTH = 256;

/** Reads the xattr part of lines. */
export class XattrReader {
  readonly #cache = new Map<string, Xattrs>();

  /**
   * The xattrs that `text` lists; a repeated key replaces the earlier value.
   *
   * @throws {@link FormatError} `MALFORMED` or `LIMIT`
   */
  read(text: string): Xattrs {
    const cached = this.#cache.get(text);
    if (cached !== undefined) return cached;
    const xattrs = parseXattrs(text);
    if (text.length <= CACHED_LENGTH) {
      if (this.#cache.size >= CACHED_TEXTS) this.#cache.clear();
      this.#cache.set(text, xattrs);
    }
    return xattrs;
  }
}

function parseXattrs(text: string): Xattrs {
  if (text.length > limits.dumpXattrsBytes) {
    const most = `expected at most ${limits.dumpXattrsBytes} bytes of text`;
    throw new FormatError("LIMIT", `xattrs: ${most}, got ${text.length}`);
  }
  const xattrs = new Map<ByteString, ByteString>();
  let cost = 0;
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(" ", at);
    const stop = space === -1 ? text.length : space;
    const { key, value } = parsePair(text.slice(at, stop));
    at = stop + 1;
    const old = xattrs.get(key);
    if (old !== undefined) {
      xattrs.delete(key);
      cost = xattrs.size === 0 ? 0 : cost - ENTRY_COST - key.length - old.length;
    }
    if (xattrs.size === 0) cost += HEADER_COST;
    cost += ENTRY_COST + key.length + value.length;
    if (cost > limits.dumpXattrsAccount) {
      const most = `expected an accounted size of at most ${limits.dumpXattrsAccount} bytes`;
      throw new FormatError("LIMIT", `xattrs: ${most}, got ${cost} or more`);
    }
    xattrs.set(key, value);
  }
  return xattrs;
}

function parsePair(raw: string): { key: ByteString; value: ByteString } {
  const equals = raw.indexOf("=");
  if (equals === -1) throw new FormatError("MALFORMED", "xattr: missing =");
  const key = cutAtNul(unescape(raw.slice(0, equals)));
  const value = unescape(raw.slice(equals + 1));
  const { xattrNameBytes, xattrValueBytes } = limits;
  if (key.length === 0 || key.length > xattrNameBytes) {
    const message = `xattr key: expected 1 to ${xattrNameBytes} bytes, got ${key.length}`;
    throw new FormatError("LIMIT", message);
  }
  if (value.length > xattrValueBytes) {
    const message = `xattr value: expected at most ${xattrValueBytes} bytes, got ${value.length}`;
    throw new FormatError("LIMIT", message);
  }
  return { key, value };
}
