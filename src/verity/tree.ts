/**
 * Checking parts of a file: leaves against the file's digest once, then any run of blocks against
 * the leaves.
 *
 * Spec: fs-verity kernel documentation, "Merkle tree".
 *
 * @module
 */
import { FormatError, IntegrityError } from "../errors.ts";
import { blockHash } from "./block-hash.ts";
import {
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
  type VerityDigest,
  algorithmOf,
  verityAlgorithms,
} from "./verity-digest.ts";
import { leavesSize } from "./hasher.ts";
import { HashLevels } from "./levels.ts";

/**
 * The digest of a file of `size` bytes with these leaf hashes.
 *
 * @throws {@link FormatError} `OUT_OF_RANGE` when `leaves` is not as long as `size` asks for
 */
export function digestOfLeaves(
  leaves: Uint8Array,
  size: number,
  algorithm: VerityAlgorithm,
): VerityDigest {
  const expected = leavesSize(size, algorithm);
  if (leaves.length !== expected) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `leaves of a file of ${size} bytes: expected ${expected} bytes, got ${leaves.length}`,
    );
  }
  const hash = blockHash(algorithm);
  const levels = new HashLevels(hash);
  levels.push(leaves, 0, leaves.length);
  return levels.digest(size);
}

/**
 * Checks leaf hashes from an untrusted place against the digest of the file they claim to be of.
 *
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when they are not the leaves of a file of `size`
 *   bytes with this digest
 */
export function verifyLeaves(leaves: Uint8Array, size: number, digest: VerityDigest): void {
  const algorithm = algorithmOf(digest);
  const expected = leavesSize(size, algorithm);
  const got =
    leaves.length === expected
      ? digestOfLeaves(leaves, size, algorithm)
      : `${leaves.length} bytes of leaves instead of ${expected}`;
  if (got !== digest) {
    throw new IntegrityError("DIGEST_MISMATCH", `leaves of object ${digest}: got ${got}`);
  }
}

/**
 * Checks a run of blocks, starting with block `firstBlock` of the file, against verified leaves.
 * The last block may be short; it counts as padded with zeros, so the caller must know from the
 * file's size how long it has to be.
 *
 * @returns the number of the first block that is wrong or has no leaf; -1 when all are right
 */
export function verifyBlocks(
  data: Uint8Array,
  firstBlock: number,
  leaves: Uint8Array,
  algorithm: VerityAlgorithm,
): number {
  const hash = blockHash(algorithm);
  const { size } = hash;
  const view = new DataView(leaves.buffer, leaves.byteOffset, leaves.byteLength);
  const leafCount = Math.floor(leaves.length / size);
  const whole = Math.floor(data.length / VERITY_BLOCK_SIZE);
  for (let done = 0; done < whole;) {
    const block = firstBlock + done;
    const count = Math.min(RUN_BLOCKS, whole - done, leafCount - block);
    if (count <= 0 || block < 0) return block;
    hash.hashBlocks(data, done * VERITY_BLOCK_SIZE, count, run, 0);
    const difference = firstDifference(runView, view, block * size, count * size);
    if (difference >= 0) return block + Math.floor(difference / size);
    done += count;
  }
  const rest = data.length - whole * VERITY_BLOCK_SIZE;
  if (rest === 0) return -1;
  const last = firstBlock + whole;
  if (last < 0 || last >= leafCount) return last;
  hashBlockInto(data.subarray(data.length - rest), algorithm, run, 0);
  return firstDifference(runView, view, last * size, size) < 0 ? -1 : last;
}

/** Blocks that are hashed before they are compared. */
const RUN_BLOCKS = 32;
const run = new Uint8Array(RUN_BLOCKS * verityAlgorithms.sha512.digestSize); // filled and read without a break
const runView = new DataView(run.buffer);

/** Where the first `length` bytes of both differ, to a multiple of 4; -1 for nowhere. */
function firstDifference(one: DataView, other: DataView, at: number, length: number): number {
  for (let i = 0; i < length; i += 4) {
    if (one.getInt32(i) !== other.getInt32(at + i)) return i;
  }
  return -1;
}

/** Writes the leaf hash of one block, padded with zeros when short, into `out` at `at`. */
export function hashBlockInto(
  block: Uint8Array,
  algorithm: VerityAlgorithm,
  out: Uint8Array,
  at: number,
): void {
  let bytes = block;
  if (bytes.length < VERITY_BLOCK_SIZE) {
    bytes = new Uint8Array(VERITY_BLOCK_SIZE);
    bytes.set(block);
  }
  blockHash(algorithm).hashInto(bytes, out, at);
}
