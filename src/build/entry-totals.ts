/**
 * Counts the entries of all layers of an image with their names and xattrs, which are in memory at
 * once until the layers are merged. A blob of a few megabytes may have millions of them.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { TarEntry } from "../tar/entry.ts";

export class EntryTotals {
  #entries = 0;
  #pathBytes = 0;
  #xattrs = 0;
  #xattrBytes = 0;

  /**
   * @throws {@link FormatError} `LIMIT` when there are more, or more bytes, than the layers of an
   *   image may have
   */
  add({ path, linkPath, xattrs }: Pick<TarEntry, "path" | "linkPath" | "xattrs">): void {
    this.#entries += 1;
    this.#pathBytes += path.length + linkPath.length;
    this.#xattrs += xattrs.size;
    for (const [key, value] of xattrs) this.#xattrBytes += key.length + value.length;
    require("entries", this.#entries, limits.inodes);
    require("bytes of paths and link targets", this.#pathBytes, limits.pathsBytes);
    require("xattrs", this.#xattrs, limits.xattrs);
    require("bytes of xattrs", this.#xattrBytes, limits.xattrBytes);
  }
}

function require(what: string, got: number, most: number): void {
  if (got <= most) return;
  const message = `layers: expected at most ${most} ${what} in all of them, got ${got} or more`;
  throw new FormatError("LIMIT", message);
}
