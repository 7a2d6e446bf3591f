/**
 * The fixed parts of a seek index, in the order in which they lie in the file:
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
 * It holds neither digests nor sizes of objects: they come from the image that the index belongs to.
 *
 * Spec: docs/seek-index.md, "File layout".
 *
 * @module
 */
import { raw, struct, u16, u32, u64, u8 } from "../bytes/struct.ts";

/** "sealseek" */
export const MAGIC = Uint8Array.of(0x73, 0x65, 0x61, 0x6c, 0x73, 0x65, 0x65, 0x6b);
export const VERSION = 1;

/** Points whose windows are compressed together. */
export const GROUP_POINTS = 16;
/** Uncompressed bytes of a window and its runs: at worst every second byte, and six bytes for each. */
const MAX_WINDOW_BYTES = 128 * 1024;
/** Uncompressed bytes of a group. */
export const MAX_GROUP_BYTES = GROUP_POINTS * MAX_WINDOW_BYTES;
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
