/**
 * fs-verity digests: computing them from a stream, and checking parts of a file against them.
 *
 * @module
 */
export { type BlockHash, blockHash, nodeHash, portableHash, useBlockHash } from "./block-hash.ts";
export {
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
  type VerityDigest,
  algorithmOf,
  objectPath,
  parseVerityDigest,
  verityAlgorithms,
} from "./verity-digest.ts";
export { VerityHasher, type VerityHasherOptions, leavesSize, verityDigestOf } from "./hasher.ts";
export { digestOfLeaves, hashBlockInto, verifyBlocks, verifyLeaves } from "./tree.ts";
