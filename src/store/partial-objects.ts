/**
 * Objects that are fetched block by block: a sparse file and the object's leaf hashes, in a staging
 * directory of their own. Only blocks that match their leaf are ever written, so that a reader
 * finds right blocks or holes, and its own check tells them apart.
 *
 * Spec: docs/store.md, "Partial objects".
 *
 * @module
 */
import { closeSync, constants, fchmodSync, ftruncateSync, read as readCallback } from "node:fs";
import { promisify } from "node:util";
import { IntegrityError, SystemError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  VERITY_BLOCK_SIZE,
  type VerityDigest,
  algorithmOf,
  type VerityAlgorithm,
  verifyBlocks,
  verifyLeaves,
} from "../verity/index.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import type { OpenFile } from "../fs/regular-file.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { PARTIAL_PREFIX, TMP } from "./layout.ts";
import type { StagingDirectory } from "./staging.ts";
import type { WholeObject } from "./kept-object.ts";
import type { Store } from "./store.ts";

const MODE = 0o444;
/** Bytes that are checked and written at once: a multiple of the block size. */
const FILL_BYTES = 64 * 1024;
/** Bytes that are read at once of what an earlier process left. */
const RECALL_BYTES = 1024 * 1024;
const zeros = Buffer.alloc(VERITY_BLOCK_SIZE);
const read = promisify(readCallback);

/** Bytes of an object from `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Opens the blocks of an object that `directory` has; the caller checks them. */
export function openPartial(directory: HeldDirectory, digest: VerityDigest): OpenFile {
  return directory.openRegular(digest, `part of object ${digest}`);
}

/** The leaf hashes that are kept with a partial object; the caller checks them. */
export function readPartialLeaves(directory: HeldDirectory, digest: VerityDigest): Uint8Array {
  return directory.readRegular(leavesName(digest), limits.leafBytes, `leaves of ${digest}`);
}

/** Where one process leaves the blocks of an object for the next, in the store. */
function leftName(digest: VerityDigest): string {
  return `${TMP}/${PARTIAL_PREFIX}blocks-${digest}`;
}

function leavesName(digest: VerityDigest): string {
  return `${digest}.leaves`;
}

/** An object, and how many bytes it has. */
export interface SizedObject {
  readonly digest: VerityDigest;
  readonly size: number;
}

/** One object that is being put together from blocks in any order. */
export class PartialObject implements WholeObject {
  readonly digest: VerityDigest;
  /** Bytes of the whole object. */
  readonly size: number;
  readonly name: string;
  readonly #files: HeldDirectory;
  readonly #leaves: Uint8Array;
  /** Whether it may still be written to. No descriptor is kept: there may be more parts than those. */
  #isOpen = true;
  /** A byte for each block: 1 when it was written. */
  readonly #blocks: Uint8Array;
  #missing: number;

  private constructor(
    staging: StagingDirectory,
    { digest, size }: SizedObject,
    leaves: Uint8Array,
    open: (files: HeldDirectory) => number,
  ) {
    this.digest = digest;
    this.size = size;
    this.#files = staging.files;
    this.name = `${staging.name}/${digest}`;
    this.#leaves = leaves;
    this.#missing = Math.ceil(size / VERITY_BLOCK_SIZE);
    this.#blocks = new Uint8Array(this.#missing);
    try {
      // First: a process that finds the data finds its leaves.
      writeNew(this.#files, leavesName(digest), leaves);
      const fd = open(this.#files);
      try {
        fchmodSync(fd, MODE); // whatever the umask
        ftruncateSync(fd, size);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw failure(`part of object ${digest}`, error);
    }
  }

  /**
   * Begins an object with leaf hashes from an untrusted source.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` when they are not the object's
   * @throws {@link SystemError} when the file cannot be made
   */
  static begin(staging: StagingDirectory, object: SizedObject, leaves: Uint8Array): PartialObject {
    verifyLeaves(leaves, object.size, object.digest);
    const { O_RDWR, O_CREAT, O_EXCL } = constants;
    return new PartialObject(staging, object, leaves, (files) =>
      files.open(object.digest, O_RDWR | O_CREAT | O_EXCL, MODE),
    );
  }

  /**
   * The same, with those blocks that an earlier process left by {@link leave} and that are right.
   * Only the first process that asks gets them.
   */
  static async resume(
    store: Store,
    staging: StagingDirectory,
    object: SizedObject,
    leaves: Uint8Array,
  ): Promise<PartialObject> {
    verifyLeaves(leaves, object.size, object.digest);
    let fd: number;
    try {
      store.files.rename(leftName(object.digest), object.digest, staging.files);
      fd = openToWrite(staging.files, object.digest);
    } catch {
      staging.files.removeTree(object.digest);
      return PartialObject.begin(staging, object, leaves);
    }
    const part = new PartialObject(staging, object, leaves, () => fd);
    await part.#recall();
    return part;
  }

  /** Leaves its blocks to the next process that resumes the object. */
  leave(store: Store): void {
    this.close();
    if (this.present > 0) this.#files.rename(this.digest, leftName(this.digest), store.files);
  }

  /** Finds out which blocks are right. Zeros may be a hole, and are not worth a hash. */
  async #recall(): Promise<void> {
    const algorithm = algorithmOf(this.digest);
    const fd = this.#files.open(this.digest, constants.O_RDONLY);
    try {
      await this.#recallFrom(fd, algorithm);
    } finally {
      closeSync(fd);
    }
  }

  async #recallFrom(fd: number, algorithm: VerityAlgorithm): Promise<void> {
    const chunk = new Uint8Array(Math.min(RECALL_BYTES, this.size));
    for (let at = 0; at < this.size; at += chunk.length) {
      const { bytesRead } = await read(fd, chunk, 0, chunk.length, at);
      for (let from = 0; from < bytesRead; from += VERITY_BLOCK_SIZE) {
        const bytes = chunk.subarray(from, Math.min(from + VERITY_BLOCK_SIZE, bytesRead));
        if (zeros.equals(bytes)) continue;
        const block = (at + from) / VERITY_BLOCK_SIZE;
        if (verifyBlocks(bytes, block, this.#leaves, algorithm) < 0) this.#mark(block);
      }
    }
  }

  #mark(block: number): void {
    if (this.#blocks[block] === 0) this.#missing -= 1;
    this.#blocks[block] = 1;
  }

  /** Whether every block was written. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Bytes of the blocks that were written; a short last block counts as a whole one. */
  get present(): number {
    return Math.min(this.size, (this.#blocks.length - this.#missing) * VERITY_BLOCK_SIZE);
  }

  /** What a range still lacks: runs of whole blocks, in order. */
  missing({ start, end }: ByteRange): ByteRange[] {
    const runs: ByteRange[] = [];
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
    // A source that was given up may still send, and the file be another's by now.
    if (!this.#isOpen) throw new SystemError("IO", `object ${this.digest}: closed`);
    const first = position / VERITY_BLOCK_SIZE;
    const bad = verifyBlocks(bytes, first, this.#leaves, algorithmOf(this.digest));
    const good = bad < 0 ? bytes.length : (bad - first) * VERITY_BLOCK_SIZE;
    try {
      this.#writeTo(bytes.subarray(0, good), position);
    } catch (error) {
      throw failure(`part of object ${this.digest}`, error);
    }
    for (let block = first; block < first + Math.ceil(good / VERITY_BLOCK_SIZE); block++) {
      this.#mark(block);
    }
    if (bad >= 0) {
      throw new IntegrityError(
        "DIGEST_MISMATCH",
        `object ${this.digest}: block ${bad} is not as signed`,
      );
    }
  }

  #writeTo(bytes: Uint8Array, position: number): void {
    const fd = openToWrite(this.#files, this.digest);
    try {
      fchmodSync(fd, MODE);
      writeFully(fd, bytes, position);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Checks and keeps the bytes of a stream, which must be exactly those of `range`; that consists
   * of whole blocks. `onKept` is called with the number of bytes whenever some were kept.
   *
   * @throws as {@link write}; {@link IntegrityError} `SIZE_MISMATCH` when there are more or fewer
   */
  async receive(
    { start, end }: ByteRange,
    stream: AsyncIterable<Uint8Array>,
    onKept?: (bytes: number) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(Math.min(FILL_BYTES, end - start));
    let at = start; // of the object: where the buffer begins
    let fill = 0;
    const keep = () => {
      this.write(at, buffer.subarray(0, fill));
      onKept?.(fill);
      at += fill;
      fill = 0;
    };
    for await (const chunk of stream) {
      for (let from = 0; from < chunk.length;) {
        const room = Math.min(buffer.length, end - at) - fill;
        if (room === 0) throw wrongLength(this.digest, end - start, "more");
        const taken = Math.min(room, chunk.length - from);
        buffer.set(chunk.subarray(from, from + taken), fill);
        fill += taken;
        from += taken;
        if (fill === buffer.length || at + fill === end) keep();
      }
    }
    if (at === end) return;
    throw wrongLength(this.digest, end - start, String(at + fill - start));
  }

  /** Ends writing; the file stays. */
  close(): void {
    this.#isOpen = false;
  }

  remove(): void {
    this.#files.removeTree(this.digest);
    this.#files.removeTree(leavesName(this.digest));
  }
}

function writeNew(files: HeldDirectory, name: string, bytes: Uint8Array): void {
  const fd = files.newFile(name, MODE);
  try {
    writeFully(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

/** Opens a file of mode 0444, which only root may write to, to go on writing to it. */
function openToWrite(files: HeldDirectory, name: string): number {
  const reading = files.open(name, constants.O_RDONLY);
  try {
    fchmodSync(reading, 0o600);
    return files.open(name, constants.O_RDWR);
  } finally {
    closeSync(reading);
  }
}

function wrongLength(digest: VerityDigest, expected: number, got: string): IntegrityError {
  return new IntegrityError(
    "SIZE_MISMATCH",
    `object ${digest}: expected ${expected} bytes, got ${got}`,
  );
}
