/**
 * The seek index as a file. Integers are little-endian; "deflated" is a raw deflate stream, whose
 * length and the length of its content are stated elsewhere; a varint has seven bits a byte, the
 * lowest first.
 *
 * ```
 * SeekHeader
 * SeekLayerRecord          one per layer of the image, the lowest first
 * places, deflated         where each object lies
 * per layer:
 *   points, deflated       where decompression can start
 *   windows                what a deflate decoder needs at these points
 * ```
 *
 * Neither digests nor sizes of objects are in it: who uses an index has the image, whose objects it
 * is about. They are numbered by their digests in byte order.
 *
 * **Places** are ordered by layer and position; a record says how many each layer has. First the
 * number of each place's object, in as few bytes as the largest number needs (`numberWidth`). Then one
 * varint a place: the distance in blocks of 512 bytes from the end of the content before (rounded up
 * to a block; 0 at a layer's start) to the start of this one. Then the sparse files: a varint with
 * their number, and for each the number of places since the one before (from the first place on), the
 * number of its segments, and for each segment the length of the hole before it and its own. What is
 * not sparse is stored as long as the object is.
 *
 * **Points** are varints: for each point the distance from the one before (the first: from 0) in the
 * blob, in bits for gzip and in bytes for zstd; then for each the distance in the uncompressed layer.
 * Then, for gzip, for each group of up to 16 points the deflated and the plain length of their windows.
 *
 * **Windows** are deflated in these groups. Of the 32 KiB before a point only those bytes are kept that
 * the stream after it refers to. For each point a varint with the number of runs of such bytes, and
 * for each run the bytes left out before it and its length; then the bytes of all runs of the group.
 *
 * @module
 */
import { raw, struct, u16, u32, u64, u8 } from "../bytes/struct.ts";

/** "sealseek" */
export const MAGIC = Uint8Array.of(0x73, 0x65, 0x61, 0x6c, 0x73, 0x65, 0x65, 0x6b);
export const VERSION = 1;

/** Points whose windows are compressed together. */
export const GROUP_POINTS = 16;
/** Plain bytes of a group: windows, and runs that are as bad as can be. */
export const MAX_GROUP_BYTES = GROUP_POINTS * 128 * 1024;
/** Content starts at multiples of it. */
export const BLOCK_BYTES = 512;

export const SeekHeader = struct("seek header", 32, {
  magic: raw(8),
  version: u16,
  reserved: u16,
  layers: u32,
  objects: u32, // that the image has
  placesBytes: u32,
  placesPlainBytes: u32,
  reserved2: u32,
});

export const SeekLayerRecord = struct("seek layer", 112, {
  digestAlgorithm: u8, // 1 sha256, 2 sha512
  compression: u8, // index into `compressions`
  reserved: u16,
  places: u32,
  points: u32,
  pointsBytes: u32,
  pointsPlainBytes: u32,
  reserved2: u32,
  size: u64, // of the blob
  bytes: u64, // of the uncompressed layer
  windowsBytes: u64,
  digest: raw(64), // zeros at its end for sha256
});

export const compressions = ["none", "gzip", "zstd"] as const;

/** Bytes of a number below `count`. */
export function numberWidth(count: number): number {
  let width = 1;
  while (count > 2 ** (8 * width)) width++;
  return width;
}
