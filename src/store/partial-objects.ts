/**
 * Objects that are fetched block by block: a sparse file and the object's leaf hashes, in a staging
 * directory of their own. Only blocks that match their leaf are ever written, so that a reader
 * finds right blocks or holes, and its own check tells them apart.
 *
 * Spec: docs/store.md, "Partial objects".
 *
 * @module
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  openSync,
  read as readCallback,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
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
import { type OpenFile, openRegular, readRegular } from "../fs/regular-file.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { replaceFile } from "../fs/atomic-file.ts";
import { PARTIAL_PREFIX } from "./layout.ts";

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
export function openPartial(directory: string, digest: VerityDigest): OpenFile {
  return openRegular(dataPath(directory, digest), `part of object ${digest}`);
}

/** The leaf hashes that are kept with a partial object; the caller checks them. */
export function readPartialLeaves(directory: string, digest: VerityDigest): Uint8Array {
  return readRegular(leavesPath(directory, digest), limits.leafBytes, `leaves of ${digest}`);
}

function dataPath(directory: string, digest: VerityDigest): string {
  return `${directory}/${digest}`;
}

/** Where one process leaves the blocks of an object for the next, in a store's directory. */
function leftPath(store: string, digest: VerityDigest): string {
  return `${store}/tmp/${PARTIAL_PREFIX}blocks-${digest}`;
}

function leavesPath(directory: string, digest: VerityDigest): string {
  return `${directory}/${digest}.leaves`;
}

/** An object, and how many bytes it has. */
export interface SizedObject {
  readonly digest: VerityDigest;
  readonly size: number;
}

/** A whole object that is not in its place yet. */
export interface WholeObject {
  readonly digest: VerityDigest;
  readonly size: number;
  readonly path: string;
  /** Removes its file, if that was not moved away. */
  remove(): void;
}

/**
 * Keeps an object whose content is at hand, and right. It has no leaf hashes beside it: small
 * objects are hashed when they are opened.
 *
 * @throws {@link SystemError} when it cannot be written; nothing is kept then
 */
export function keepWhole(
  directory: string,
  digest: VerityDigest,
  content: Uint8Array,
): WholeObject {
  const path = dataPath(directory, digest);
  try {
    replaceFile(path, content, { mode: MODE, ignoreUmask: true, sync: false });
  } catch (error) {
    throw failure(`object ${digest}`, error);
  }
  return { digest, size: content.length, path, remove: () => rmSync(path, { force: true }) };
}

/** One object that is being put together from blocks in any order. */
export class PartialObject implements WholeObject {
  readonly digest: VerityDigest;
  /** Bytes of the whole object. */
  readonly size: number;
  readonly path: string;
  readonly #directory: string;
  readonly #leaves: Uint8Array;
  /** Whether it may still be written to. No descriptor is kept: there may be more parts than those. */
  #isOpen = true;
  /** A byte for each block: 1 when it was written. */
  readonly #blocks: Uint8Array;
  #missing: number;

  private constructor(
    directory: string,
    { digest, size }: SizedObject,
    leaves: Uint8Array,
    open: (path: string) => number,
  ) {
    this.digest = digest;
    this.size = size;
    this.#directory = directory;
    this.path = dataPath(directory, digest);
    this.#leaves = leaves;
    this.#missing = Math.ceil(size / VERITY_BLOCK_SIZE);
    this.#blocks = new Uint8Array(this.#missing);
    try {
      // First: a process that finds the data finds its leaves.
      writeFileSync(leavesPath(directory, digest), leaves, { flag: "wx", mode: MODE });
      const fd = open(this.path);
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
  static begin(directory: string, object: SizedObject, leaves: Uint8Array): PartialObject {
    verifyLeaves(leaves, object.size, object.digest);
    return new PartialObject(directory, object, leaves, (path) => openSync(path, "wx+", MODE));
  }

  /**
   * The same, with those blocks that an earlier process left by {@link leave} and that are right.
   * Only the first process that asks gets them.
   */
  static async resume(
    store: string,
    directory: string,
    object: SizedObject,
    leaves: Uint8Array,
  ): Promise<PartialObject> {
    verifyLeaves(leaves, object.size, object.digest);
    const path = dataPath(directory, object.digest);
    try {
      renameSync(leftPath(store, object.digest), path);
      chmodSync(path, 0o600); // the owner goes on writing to it
    } catch {
      return PartialObject.begin(directory, object, leaves);
    }
    const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const part = new PartialObject(directory, object, leaves, (name) => openSync(name, flags));
    await part.#recall();
    return part;
  }

  /** Leaves its blocks to the next process that resumes the object. */
  leave(store: string): void {
    this.close();
    if (this.present > 0) renameSync(this.path, leftPath(store, this.digest));
  }

  /** Finds out which blocks are right. Zeros may be a hole, and are not worth a hash. */
  async #recall(): Promise<void> {
    const algorithm = algorithmOf(this.digest);
    const fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW);
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
    chmodSync(this.path, 0o600); // for the owner, who is not always root
    const fd = openSync(this.path, constants.O_WRONLY | constants.O_NOFOLLOW);
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
    rmSync(this.path, { force: true });
    rmSync(leavesPath(this.#directory, this.digest), { force: true });
  }
}

function wrongLength(digest: VerityDigest, expected: number, got: string): IntegrityError {
  return new IntegrityError(
    "SIZE_MISMATCH",
    `object ${digest}: expected ${expected} bytes, got ${got}`,
  );
}
