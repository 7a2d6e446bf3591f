/**
 * The directory entries of an image in stored order, as columns: nodes, lengths and bytes of names.
 *
 * Spec: docs/image-format.md, "Data of each type" and "Directories".
 *
 * @module
 */
import { type ByteString, writeBytes } from "../bytes/bytestring.ts";
import { limits } from "../limits.ts";
import { FormatError } from "../errors.ts";
import { doubled } from "./writer-columns.ts";
import { BLOCK_SIZE, Dirent } from "./format.ts";

const FIRST_CAPACITY = 1024;
const NAME_SIZE = 16;

/** A directory's part of the entries. */
export interface Listing {
  /** The first entry, and the first byte of its name. */
  readonly first: number;
  readonly firstByte: number;
  /** Behind which entry each directory block ends. */
  readonly ends: number[];
  /** Bytes in the last of these blocks. */
  rest: number;
}

/** All entries; those of a directory follow each other, and so do the bytes of their names. */
export class Entries {
  /** Where each entry leads. */
  node = new Uint32Array(FIRST_CAPACITY);
  length = new Uint8Array(FIRST_CAPACITY);
  bytes = new Uint8Array(FIRST_CAPACITY * NAME_SIZE);
  count = 0;
  #bytes = 0;

  /** A directory's listing with these names; where they lead is set afterwards. */
  add(names: readonly ByteString[]): Listing {
    const first = this.count;
    const firstByte = this.#bytes;
    const ends: number[] = [];
    let used = 0;
    for (const name of names) {
      if (name.length > limits.nameBytes) {
        throw new FormatError(
          "LIMIT",
          `name: expected at most ${limits.nameBytes} bytes, got ${name.length}`,
        );
      }
      if (this.count === this.length.length) {
        this.node = doubled(this.node, Uint32Array);
        this.length = doubled(this.length, Uint8Array);
      }
      while (this.#bytes + name.length > this.bytes.length) {
        this.bytes = doubled(this.bytes, Uint8Array);
      }
      const size = Dirent.size + name.length;
      if (used + size > BLOCK_SIZE) {
        ends.push(this.count);
        used = 0;
      }
      used += size;
      this.length[this.count++] = name.length;
      writeBytes(name, this.bytes, this.#bytes);
      this.#bytes += name.length;
    }
    ends.push(this.count);
    return { first, firstByte, ends, rest: used };
  }
}
