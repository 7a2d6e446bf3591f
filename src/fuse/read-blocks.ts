/**
 * Any part of an object, by reading the whole blocks that it lies in: these are what can be checked.
 *
 * @module
 */
import { VERITY_BLOCK_SIZE } from "../verity/verity-digest.ts";
import type { ObjectFile, ObjectReader } from "./object-reader.ts";

let scratch: Buffer | undefined; // of this thread

/**
 * Reads up to `length` bytes of an object from `offset` on into `out` at `at`, and returns how many
 * there were.
 *
 * @throws {@link IntegrityError} when no place has the content as signed
 */
export function readBlocks(
  reader: ObjectReader,
  file: ObjectFile,
  offset: number,
  length: number,
  out: Uint8Array,
  at: number,
): number {
  const end = Math.min(offset + length, file.size);
  if (end <= offset) return 0;
  const first = offset - (offset % VERITY_BLOCK_SIZE);
  const last = Math.min(Math.ceil(end / VERITY_BLOCK_SIZE) * VERITY_BLOCK_SIZE, file.size);
  if (first === offset && last === end) {
    reader.read(file, offset, out, at, end - offset);
    return end - offset;
  }
  // Only direct I/O asks for parts of blocks.
  if (scratch === undefined || scratch.length < last - first) {
    scratch = Buffer.allocUnsafeSlow(last - first);
  }
  reader.read(file, first, scratch, 0, last - first);
  out.set(scratch.subarray(offset - first, end - first), at);
  return end - offset;
}
