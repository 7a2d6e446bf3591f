/**
 * The xattrs of an inode: pairs of a key and a value, each of which an image has once.
 *
 * Spec: docs/image-format.md, "Xattrs".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { XattrEntry, alignXattr } from "./format.ts";

/** A key: its prefix index, the rest of the name, and its bit in the name filter. */
export interface XattrKey {
  readonly key: ByteString;
  readonly index: number;
  readonly name: ByteString;
  readonly filterBit: number;
  readonly values: Map<ByteString, Xattr>;
}

/** A pair, which any number of inodes may have. */
export class Xattr {
  readonly key: XattrKey;
  readonly value: ByteString;
  /** Bytes of its entry, padding included. */
  readonly size: number;
  uses = 0;
  /** Offset in the shared table; -1 when it is not there. */
  offset = -1;

  constructor(key: XattrKey, value: ByteString) {
    this.key = key;
    this.value = value;
    this.size = alignXattr(XattrEntry.size + key.name.length + value.length);
  }
}

/** The pairs of an inode, or of several, in ascending order of their keys. */
export interface XattrSet {
  readonly pairs: Xattr[];
  /** Inodes that have it. */
  uses: number;
  /** Bytes in the xattr body behind its header, once the table is sealed. */
  size: number;
}
