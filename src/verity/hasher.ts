/**
 * The fs-verity digest of bytes that stream by, in chunks of any size.
 *
 * Spec: fs-verity kernel documentation, "File digest computation".
 *
 * @module
 */
import { type BlockHash, blockHash } from "./block-hash.ts";
import {
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
  type VerityDigest,
  verityAlgorithms,
} from "./verity-digest.ts";
import { HashLevels } from "./levels.ts";

/** What a hasher keeps, and over which implementation it runs. */
export interface VerityHasherOptions {
  /** Keep the leaf hashes, for {@link VerityHasher.leaves}. Without it memory stays constant. */
  readonly keepLeaves?: boolean;
  /** The implementation; the fastest one of this runtime by default. */
  readonly hash?: BlockHash;
}

const FIRST_LEAVES = 16;

/** Computes a digest, and on request the leaf hashes, in one pass. */
export class VerityHasher {
  readonly #hash: BlockHash;
  readonly #levels: HashLevels;
  /** The block that is not yet full. */
  readonly #block = new Uint8Array(VERITY_BLOCK_SIZE);
  #leaves: Uint8Array | undefined;
  #bytes = 0;
  #digest: VerityDigest | undefined;

  constructor(algorithm: VerityAlgorithm = "sha256", options: VerityHasherOptions = {}) {
    this.#hash = options.hash ?? blockHash(algorithm);
    this.#levels = new HashLevels(this.#hash);
    if (options.keepLeaves) this.#leaves = new Uint8Array(FIRST_LEAVES * this.#hash.size);
  }

  /** Bytes taken so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next bytes. The chunk may be reused afterwards. */
  update(chunk: Uint8Array): this {
    if (this.#digest !== undefined) throw new TypeError("verity hasher: update after digest");
    let at = 0;
    const fill = this.#bytes % VERITY_BLOCK_SIZE;
    if (fill > 0) {
      at = Math.min(VERITY_BLOCK_SIZE - fill, chunk.length);
      this.#block.set(chunk.subarray(0, at), fill);
      if (fill + at === VERITY_BLOCK_SIZE) this.#pushBlocks(this.#block, 0, 1, this.#bytes - fill);
    }
    this.#bytes += at;
    const blocks = Math.floor((chunk.length - at) / VERITY_BLOCK_SIZE);
    if (blocks > 0) {
      this.#pushBlocks(chunk, at, blocks, this.#bytes);
      at += blocks * VERITY_BLOCK_SIZE;
      this.#bytes += blocks * VERITY_BLOCK_SIZE;
    }
    if (at < chunk.length) {
      this.#block.set(chunk.subarray(at));
      this.#bytes += chunk.length - at;
    }
    return this;
  }

  /** The digest of all bytes taken; nothing can be added afterwards. */
  digest(): VerityDigest {
    if (this.#digest !== undefined) return this.#digest;
    const fill = this.#bytes % VERITY_BLOCK_SIZE;
    if (fill > 0) this.#pushBlocks(this.#block.fill(0, fill), 0, 1, this.#bytes - fill);
    return (this.#digest = this.#levels.digest(this.#bytes));
  }

  /** The hash of each 4096-byte block, concatenated; after `digest`, with `keepLeaves`. */
  leaves(): Uint8Array {
    if (this.#leaves === undefined || this.#digest === undefined) {
      throw new TypeError("verity hasher: leaves need keepLeaves and a finished digest");
    }
    return this.#leaves.subarray(0, Math.ceil(this.#bytes / VERITY_BLOCK_SIZE) * this.#hash.size);
  }

  /** Hashes `count` blocks of `data` from `at` on, which stand at `offset` of the file. */
  #pushBlocks(data: Uint8Array, at: number, count: number, offset: number): void {
    if (this.#leaves === undefined) {
      this.#levels.pushBlocks(data, at, count);
      return;
    }
    const { size } = this.#hash;
    const start = (offset / VERITY_BLOCK_SIZE) * size;
    const end = start + count * size;
    if (end > this.#leaves.length) {
      const grown = new Uint8Array(Math.max(end, this.#leaves.length * 2));
      grown.set(this.#leaves);
      this.#leaves = grown;
    }
    this.#hash.hashBlocks(data, at, count, this.#leaves, start);
    this.#levels.push(this.#leaves, start, end);
  }
}

/** Bytes of leaf hashes that a file of `size` bytes has. */
export function leavesSize(size: number, algorithm: VerityAlgorithm): number {
  return Math.ceil(size / VERITY_BLOCK_SIZE) * verityAlgorithms[algorithm].digestSize;
}

export { verityDigestOf } from "./whole.ts";
