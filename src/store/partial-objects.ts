/**
 * Objects of which a part is there: a sparse file and the object's leaf hashes, in a staging directory
 * of their own. Only blocks that match their leaf are ever written, so that what a reader finds in
 * such a file is right, or a hole, which its own check tells apart.
 *
 * @module
 */
import {
  closeSync,
  fchmodSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { IntegrityError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  VERITY_BLOCK_SIZE,
  type VerityDigest,
  algorithmOf,
  verifyBlocks,
  verifyLeaves,
} from "../verity/index.ts";
import { failure } from "./failure.ts";
import { type OpenFile, openRegular, readRegular } from "./files.ts";

const MODE = 0o444;

/** Bytes of an object from `start` to before `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Opens what is there of an object in `directory`; the blocks are for the caller to check. */
export function openPartial(directory: string, digest: VerityDigest): OpenFile {
  return openRegular(dataPath(directory, digest), `part of object ${digest}`);
}

/** The leaf hashes that are kept with a partial object, for the caller to check. */
export function readPartialLeaves(directory: string, digest: VerityDigest): Uint8Array {
  return readRegular(leavesPath(directory, digest), limits.leafBytes, `leaves of ${digest}`);
}

function dataPath(directory: string, digest: VerityDigest): string {
  return `${directory}/${digest}`;
}

function leavesPath(directory: string, digest: VerityDigest): string {
  return `${directory}/${digest}.leaves`;
}

/** One object that is being put together from blocks in any order. */
export class PartialObject {
  readonly digest: VerityDigest;
  /** Bytes of the whole object. */
  readonly size: number;
  readonly path: string;
  readonly #directory: string;
  readonly #leaves: Uint8Array;
  readonly #fd: number;
  /** A byte for each block: 1 when it is there. */
  readonly #blocks: Uint8Array;
  #missing: number;

  private constructor(directory: string, digest: VerityDigest, size: number, leaves: Uint8Array) {
    this.digest = digest;
    this.size = size;
    this.#directory = directory;
    this.path = dataPath(directory, digest);
    this.#leaves = leaves;
    this.#missing = Math.ceil(size / VERITY_BLOCK_SIZE);
    this.#blocks = new Uint8Array(this.#missing);
    try {
      // First: whoever finds the data finds its leaves.
      writeFileSync(leavesPath(directory, digest), leaves, { flag: "wx", mode: MODE });
      this.#fd = openSync(this.path, "wx", MODE);
      fchmodSync(this.#fd, MODE); // whatever the umask
      ftruncateSync(this.#fd, size);
    } catch (error) {
      throw failure(`part of object ${digest}`, error);
    }
  }

  /**
   * Begins an object whose leaf hashes somebody has told.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` when they are not the object's
   * @throws {@link SystemError} when the file cannot be made
   */
  static begin(
    directory: string,
    { digest, size }: { readonly digest: VerityDigest; readonly size: number },
    leaves: Uint8Array,
  ): PartialObject {
    verifyLeaves(leaves, size, digest);
    return new PartialObject(directory, digest, size, leaves);
  }

  /** Whether every block is there. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Bytes in whole blocks that are there; the last one may count too much. */
  get present(): number {
    return Math.min(this.size, (this.#blocks.length - this.#missing) * VERITY_BLOCK_SIZE);
  }

  /** What is not there of a range: runs of whole blocks, in order. */
  missing({ start, end }: Span): Span[] {
    const runs: Span[] = [];
    const last = Math.ceil(Math.min(end, this.size) / VERITY_BLOCK_SIZE);
    for (let block = Math.floor(start / VERITY_BLOCK_SIZE); block < last; block++) {
      if (this.#blocks[block] === 1) continue;
      const first = block;
      while (block < last && this.#blocks[block] === 0) block++;
      runs.push({
        start: first * VERITY_BLOCK_SIZE,
        end: Math.min(block * VERITY_BLOCK_SIZE, this.size),
      });
    }
    return runs;
  }

  /**
   * Checks and keeps blocks: `bytes` from `position` on, which is a multiple of 4096; they end at
   * one too, or with the object.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` with the first block that is wrong; the ones
   *   before it are kept
   * @throws {@link SystemError} when they cannot be written
   */
  write(position: number, bytes: Uint8Array): void {
    const first = position / VERITY_BLOCK_SIZE;
    const bad = verifyBlocks(bytes, first, this.#leaves, algorithmOf(this.digest));
    const good = bad < 0 ? bytes.length : (bad - first) * VERITY_BLOCK_SIZE;
    try {
      for (let at = 0; at < good;) {
        at += writeSync(this.#fd, bytes, at, good - at, position + at);
      }
    } catch (error) {
      throw failure(`part of object ${this.digest}`, error);
    }
    for (let block = first; block < first + Math.ceil(good / VERITY_BLOCK_SIZE); block++) {
      if (this.#blocks[block] === 0) this.#missing -= 1;
      this.#blocks[block] = 1;
    }
    if (bad >= 0) {
      throw new IntegrityError(
        "DIGEST_MISMATCH",
        `object ${this.digest}: block ${bad} is not as signed`,
      );
    }
  }

  /** Lets go of the file, which stays. */
  close(): void {
    closeSync(this.#fd);
  }

  /** Removes what is still there under the name of the part. */
  remove(): void {
    rmSync(this.path, { force: true });
    rmSync(leavesPath(this.#directory, this.digest), { force: true });
  }
}
