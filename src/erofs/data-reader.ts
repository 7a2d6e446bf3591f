/**
 * Finds the data of inodes whose data is in the image: whole blocks in the data area, the tail
 * right after the inode.
 *
 * Spec: docs/image-format.md, "Data of each type" and "Placement".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { BLOCK_SIZE, LAYOUT_FLAT_INLINE, LAYOUT_FLAT_PLAIN } from "./format.ts";
import type { ImageInode } from "./inode-reader.ts";

/** The two places of an inode's data; either may be empty. Offsets and lengths in bytes. */
export interface Extent {
  /** The part in the data area. */
  readonly blocksOffset: number;
  readonly blocksLength: number;
  /** The part after the inode. */
  readonly tailOffset: number;
  readonly tailLength: number;
}

/**
 * Finds the data of a flat inode. With the inline layout the last block, whole or not, is the tail.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for another layout, `OUT_OF_RANGE` when the data does
 *   not lie inside the image
 */
export function extentOf(imageLength: number, inode: ImageInode): Extent {
  const inline = inode.layout === LAYOUT_FLAT_INLINE;
  if (!inline && inode.layout !== LAYOUT_FLAT_PLAIN) {
    throw new FormatError("UNSUPPORTED", `nid ${inode.nid}: no data in layout ${inode.layout}`);
  }
  // Compared as bigint first: a size of 2^64 - 1 must not be rounded into range.
  const size = inode.size <= BigInt(imageLength) ? Number(inode.size) : Infinity;
  const blocks = inline && size > 0 ? Math.ceil(size / BLOCK_SIZE) - 1 : 0;
  const blocksLength = inline ? blocks * BLOCK_SIZE : size;
  const tailLength = size - blocksLength;
  const blocksOffset = inode.u * BLOCK_SIZE;
  const blocksFit = blocksLength === 0 || blocksOffset + blocksLength <= imageLength;
  if (size === Infinity || !blocksFit || inode.tailOffset + tailLength > imageLength) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `nid ${inode.nid}: data of ${inode.size} bytes does not lie inside the image`,
    );
  }
  return { blocksOffset, blocksLength, tailOffset: inode.tailOffset, tailLength };
}

/** The data of a flat inode: a view into the image, or a copy when it lies in two places. */
export function readData(bytes: Uint8Array, inode: ImageInode): Uint8Array {
  const at = extentOf(bytes.length, inode);
  const blocks = bytes.subarray(at.blocksOffset, at.blocksOffset + at.blocksLength);
  const tail = bytes.subarray(at.tailOffset, at.tailOffset + at.tailLength);
  if (at.blocksLength === 0) return tail;
  if (at.tailLength === 0) return blocks;
  const whole = new Uint8Array(at.blocksLength + at.tailLength);
  whole.set(blocks);
  whole.set(tail, at.blocksLength);
  return whole;
}
