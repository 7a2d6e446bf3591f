/**
 * Counts the xattrs of all layers of an image, which are in memory at once until it is written.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";

export class XattrTotals {
  #count = 0;
  #bytes = 0;

  /**
   * Adds those of an entry.
   *
   * @throws {@link FormatError} `LIMIT` when there are more, or more bytes, than an image may have
   */
  add(xattrs: ReadonlyMap<ByteString, ByteString>): void {
    if (xattrs.size === 0) return;
    this.#count += xattrs.size;
    for (const [key, value] of xattrs) this.#bytes += key.length + value.length;
    if (this.#count > limits.xattrs) {
      throw new FormatError(
        "LIMIT",
        `xattrs: expected at most ${limits.xattrs} in an image, got more`,
      );
    }
    if (this.#bytes > limits.xattrBytes) {
      const message = `xattrs: expected at most ${limits.xattrBytes} bytes in an image, got more`;
      throw new FormatError("LIMIT", message);
    }
  }
}
