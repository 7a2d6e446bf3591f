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
} from "./digest.ts";
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
  for (let at = 0; at < leaves.length; at += hash.size) levels.push(leaves, at);
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
  let block = firstBlock;
  for (let at = 0; at < data.length; at += VERITY_BLOCK_SIZE, block++) {
    const leaf = block * hash.size;
    if (leaf < 0 || leaf + hash.size > leaves.length) return block;
    const length = Math.min(VERITY_BLOCK_SIZE, data.length - at);
    let bytes = new Uint8Array(data.buffer, data.byteOffset + at, length);
    if (length < VERITY_BLOCK_SIZE) {
      const padded = new Uint8Array(VERITY_BLOCK_SIZE);
      padded.set(bytes);
      bytes = padded;
    }
    if (!hash.matches(bytes, leaves, leaf)) return block;
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
