/**
 * Extended attributes as the image stores them.
 *
 * Spec: docs/image-format.md, "Xattrs".
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { BLOCK_SIZE, XATTR_PREFIXES, XattrEntry, XattrIbodyHeader, alignXattr } from "./format.ts";
import type { ImageInode } from "./inode-reader.ts";

/** One attribute with its place: `end` is the first byte after the padded entry. */
export interface StoredXattr {
  readonly key: ByteString;
  readonly value: ByteString;
  readonly nameIndex: number;
  readonly offset: number;
  readonly end: number;
}

const prefixes = new Map(XATTR_PREFIXES.map(([prefix, index]) => [index, prefix]));

/** Shared entries kept decoded: a few serve most inodes, and each may be 64 KiB. */
const KEPT_ENTRIES = 1024;

/** Reads the attributes of the inodes of one image. */
export class XattrReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #xattrBlkaddr: number;
  readonly #kept = new Map<number, StoredXattr>();

  constructor(bytes: Uint8Array, view: DataView, xattrBlkaddr: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#xattrBlkaddr = xattrBlkaddr;
  }

  /**
   * The attributes of one inode in stored order: its own entries, then the shared ones.
   *
   * @throws {@link FormatError} `MALFORMED` or `OUT_OF_RANGE` when an entry leaves its area, or
   *   `UNSUPPORTED` for an unknown prefix
   */
  read(inode: ImageInode): StoredXattr[] {
    if (inode.xattrIcount === 0) return [];
    const found: StoredXattr[] = [];
    const view = this.#view;
    const sharedCount = view.getUint8(inode.xattrOffset + XattrIbodyHeader.offsets.sharedCount);
    const idsAt = inode.xattrOffset + XattrIbodyHeader.size;
    const inlineAt = idsAt + sharedCount * 4;
    if (inlineAt > inode.tailOffset) {
      throw new FormatError(
        "MALFORMED",
        `nid ${inode.nid}: ${sharedCount} shared xattrs do not fit into its xattr body`,
      );
    }
    for (let at = inlineAt; at < inode.tailOffset;) {
      const entry = readXattrEntry(this.#bytes, view, at, inode.tailOffset);
      found.push(entry);
      at = entry.end;
    }
    for (let at = idsAt; at < inlineAt; at += 4) {
      found.push(this.#shared(sharedXattrOffset(this.#xattrBlkaddr, view.getUint32(at, true))));
    }
    return found;
  }

  #shared(offset: number): StoredXattr {
    let entry = this.#kept.get(offset);
    if (entry === undefined) {
      entry = readXattrEntry(this.#bytes, this.#view, offset, this.#bytes.length);
      if (this.#kept.size === KEPT_ENTRIES) this.#kept.clear();
      this.#kept.set(offset, entry);
    }
    return entry;
  }
}

/** Offset in the image of the shared entry `id`. */
export function sharedXattrOffset(xattrBlkaddr: number, id: number): number {
  return xattrBlkaddr * BLOCK_SIZE + id * 4;
}

/** Decodes the entry at `offset`, which has to end (padding included) at `limit` or before. */
export function readXattrEntry(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  limit: number,
): StoredXattr {
  const nameAt = offset + XattrEntry.size;
  if (nameAt > limit) {
    throw new FormatError("OUT_OF_RANGE", `xattr at ${offset}: its area ends at ${limit}`);
  }
  const nameLength = view.getUint8(offset);
  const nameIndex = view.getUint8(offset + XattrEntry.offsets.nameIndex);
  const valueAt = nameAt + nameLength;
  const valueEnd = valueAt + view.getUint16(offset + XattrEntry.offsets.valueSize, true);
  const end = alignXattr(valueEnd);
  if (end > limit) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `xattr at ${offset}: ends at ${end}, its area at ${limit}`,
    );
  }
  const prefix = prefixes.get(nameIndex);
  if (prefix === undefined) {
    throw new FormatError("UNSUPPORTED", `xattr at ${offset}: unknown name index ${nameIndex}`);
  }
  const key = (prefix + toByteString(bytes, nameAt, valueAt)) as ByteString;
  return { key, value: toByteString(bytes, valueAt, valueEnd), nameIndex, offset, end };
}
