/**
 * Where bytes that are written to a file are not zeros, by the blocks of the file: everything else can
 * be a hole.
 *
 * @module
 */

/** Holes are whole blocks of this many bytes: those of most file systems. */
const BLOCK_BYTES = 4096;

const zeros = Buffer.alloc(BLOCK_BYTES);

/**
 * Start and end in `bytes`, which stand at `position` of a file, of each run of blocks that are not
 * all zeros.
 */
export function dataRuns(bytes: Uint8Array, position: number): (readonly [number, number])[] {
  const runs: (readonly [number, number])[] = [];
  let start = -1;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + BLOCK_BYTES - ((position + at) % BLOCK_BYTES));
    if (!isZero(bytes, at, end)) {
      if (start < 0) start = at;
    } else if (start >= 0) {
      runs.push([start, at]);
      start = -1;
    }
    at = end;
  }
  if (start >= 0) runs.push([start, bytes.length]);
  return runs;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0 || bytes[end - 1] !== 0) return false; // nearly always
  return zeros.compare(bytes, start, end, 0, end - start) === 0;
}
