/**
 * Where in an image the digest of a file's content stands: in its metacopy attribute, read straight
 * from the bytes. The image has been verified before, so that a file with content elsewhere has
 * exactly one, of a known form.
 *
 * Spec: docs/image-format.md, "References to objects" and "Xattrs".
 *
 * @module
 */
import { BLOCK_SIZE, METACOPY_SHA256, SUPERBLOCK_OFFSET, Superblock, XattrEntry, XattrIbodyHeader, alignXattr } from "../erofs/format.ts"; // prettier-ignore
import type { Attributes, InodeTable } from "./attributes.ts";

/** `trusted.` */
const NAME_INDEX = 4;
const NAME = Buffer.from("overlay.metacopy");
const VALUE_HEADER = METACOPY_SHA256.length;

/** Finds digests in one image. */
export class DigestFinder {
  /** The digest that was found last: its place in the image, and its bytes. */
  at = 0;
  size = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #sharedAt: number;

  constructor({ bytes }: InodeTable) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#sharedAt = Superblock.decode(bytes, SUPERBLOCK_OFFSET).xattrBlkaddr * BLOCK_SIZE;
  }

  /** Whether the inode has a digest; then {@link at} and {@link size} are set. */
  find({ xattrIcount, tailAt }: Attributes): boolean {
    if (xattrIcount === 0) return false;
    const view = this.#view;
    const start = tailAt - XattrIbodyHeader.size - (xattrIcount - 1) * 4;
    const shared = this.#bytes[start + XattrIbodyHeader.offsets.sharedCount]!;
    const ids = start + XattrIbodyHeader.size;
    const inline = ids + shared * 4;
    for (let at = inline; at < tailAt; at = this.#end(at)) if (this.#take(at)) return true;
    for (let at = ids; at < inline; at += 4) {
      if (this.#take(this.#sharedAt + view.getUint32(at, true) * 4)) return true;
    }
    return false;
  }

  #valueSize(entry: number): number {
    return this.#view.getUint16(entry + XattrEntry.offsets.valueSize, true);
  }

  #end(entry: number): number {
    const end = entry + XattrEntry.size + this.#bytes[entry]! + this.#valueSize(entry);
    return alignXattr(end);
  }

  #take(entry: number): boolean {
    const bytes = this.#bytes;
    if (bytes[entry] !== NAME.length) return false;
    if (bytes[entry + XattrEntry.offsets.nameIndex] !== NAME_INDEX) return false;
    const name = entry + XattrEntry.size;
    for (let i = NAME.length - 1; i >= 0; i--) if (bytes[name + i] !== NAME[i]) return false;
    this.at = name + NAME.length + VALUE_HEADER;
    this.size = this.#valueSize(entry) - VALUE_HEADER;
    return true;
  }
}
