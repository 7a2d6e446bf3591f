/**
 * The hash tree above the leaves, built while leaves arrive: one block of memory per level.
 *
 * Spec: fs-verity kernel documentation, "Merkle tree" and "fs-verity descriptor" (4096-byte blocks,
 * no salt).
 *
 * @module
 */
import { raw, struct, u32, u64, u8 } from "../bytes/struct.ts";
import type { BlockHash } from "./block-hash.ts";
import { VERITY_BLOCK_SIZE, type VerityDigest, verityAlgorithms } from "./verity-digest.ts";

/** `struct fsverity_descriptor`. */
const Descriptor = struct("fsverity_descriptor", 256, {
  version: u8,
  hashAlgorithm: u8,
  logBlocksize: u8,
  saltSize: u8,
  sigSize: u32,
  dataSize: u64,
  rootHash: raw(64),
  salt: raw(32),
  reserved: raw(144),
});
const {
  version: VERSION_AT,
  hashAlgorithm: HASH_ALGORITHM_AT,
  logBlocksize: LOG_BLOCKSIZE_AT,
  dataSize: DATA_SIZE_AT,
  rootHash: ROOT_HASH_AT,
} = Descriptor.offsets;
const DESCRIPTOR_VERSION = 1;
const LOG_BLOCKSIZE = Math.log2(VERITY_BLOCK_SIZE);

interface Level {
  readonly block: Uint8Array;
  /** Bytes of `block` in use. */
  fill: number;
  /** Hashes that this level has received in all. */
  count: number;
}

/** Takes leaf hashes in order and gives the digest of the file. */
export class HashLevels {
  readonly #hash: BlockHash;
  readonly #levels: Level[] = [];

  constructor(hash: BlockHash) {
    this.#hash = hash;
  }

  /** Adds the leaves that lie in `leaves` from `start` to `end`. */
  push(leaves: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end;) {
      const level = this.#room(0);
      const length = Math.min(end - at, VERITY_BLOCK_SIZE - level.fill);
      level.block.set(new Uint8Array(leaves.buffer, leaves.byteOffset + at, length), level.fill);
      this.#filled(level, length);
      at += length;
    }
  }

  /** Hashes `count` data blocks, the last of them padded by the caller, as the next leaves. */
  pushBlocks(data: Uint8Array, start: number, count: number): void {
    const { size } = this.#hash;
    for (let done = 0; done < count;) {
      const level = this.#room(0);
      const some = Math.min(count - done, (VERITY_BLOCK_SIZE - level.fill) / size);
      const at = start + done * VERITY_BLOCK_SIZE;
      this.#hash.hashBlocks(data, at, some, level.block, level.fill);
      this.#filled(level, some * size);
      done += some;
    }
  }

  /** The digest of a file of `size` bytes whose leaves were all pushed. */
  digest(size: number): VerityDigest {
    for (let index = 0; index < this.#levels.length; index++) {
      const level = this.#levels[index]!;
      if (level.count === 1) {
        return descriptorDigest(this.#hash, size, level.block.subarray(0, this.#hash.size));
      }
      this.#flush(index, level);
    }
    return descriptorDigest(this.#hash, size, undefined);
  }

  #filled(level: Level, bytes: number): void {
    level.fill += bytes;
    level.count += bytes / this.#hash.size;
  }

  /** The level with room for one more hash. A full block moves up only when the next one comes. */
  #room(index: number): Level {
    let level = this.#levels[index];
    if (level === undefined) {
      level = { block: new Uint8Array(VERITY_BLOCK_SIZE), fill: 0, count: 0 };
      this.#levels.push(level);
    } else if (level.fill === VERITY_BLOCK_SIZE) {
      this.#flush(index, level);
    }
    return level;
  }

  #flush(index: number, level: Level): void {
    level.block.fill(0, level.fill);
    level.fill = 0;
    const above = this.#room(index + 1);
    this.#hash.hashInto(level.block, above.block, above.fill);
    this.#filled(above, this.#hash.size);
  }
}

// Shared by all calls: it is filled and hashed without a break.
const descriptor = new Uint8Array(Descriptor.size);
const descriptorView = new DataView(descriptor.buffer);

/** Hash of `struct fsverity_descriptor`; an empty file has no root hash, its field stays zero. */
export function descriptorDigest(
  hash: BlockHash,
  size: number,
  root: Uint8Array | undefined,
): VerityDigest {
  descriptor.fill(0);
  descriptor[VERSION_AT] = DESCRIPTOR_VERSION;
  descriptor[HASH_ALGORITHM_AT] = verityAlgorithms[hash.algorithm].id;
  descriptor[LOG_BLOCKSIZE_AT] = LOG_BLOCKSIZE; // no salt and no signature: their sizes stay 0
  descriptorView.setUint32(DATA_SIZE_AT, size % 2 ** 32, true);
  descriptorView.setUint32(DATA_SIZE_AT + 4, size / 2 ** 32, true);
  if (root !== undefined) descriptor.set(root, ROOT_HASH_AT);
  return hash.hex(descriptor) as VerityDigest;
}
