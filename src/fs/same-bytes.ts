/**
 * Whether two parts of open files are copies of each other.
 *
 * @module
 */
import { readFully } from "./descriptor-io.ts";

const CHUNK_BYTES = 256 * 1024;

/** `size` bytes of an open file, from `offset` on. */
interface FilePart {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

/** Compares the bytes themselves, in pieces. */
export function hasSameBytes(a: FilePart, b: FilePart): boolean {
  if (a.size !== b.size) return false;
  const [left, right] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)];
  for (let at = 0; at < a.size; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, a.size - at);
    const [x, y] = [left.subarray(0, length), right.subarray(0, length)];
    if (readFully(a.fd, x, a.offset + at) !== length) return false;
    if (readFully(b.fd, y, b.offset + at) !== length || !x.equals(y)) return false;
  }
  return true;
}
