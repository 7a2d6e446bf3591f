/**
 * A blob read once from front to back: hashed on the way, and exactly as long as it was said to be.
 *
 * @module
 */
import { readSync } from "node:fs";
import { IntegrityError } from "../../errors.ts";
import { failure } from "../../fs/failure.ts";
import { DigestHasher, type OciAlgorithm, type OciDigest } from "../digest.ts";
import type { DecoderInput } from "./zlib-handle.ts";
import type { FileRange } from "../blob.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Yields the bytes of a blob; `digest` is known when all have been taken. */
export class BlobInput implements DecoderInput {
  readonly #range: FileRange;
  readonly #label: string;
  readonly #hasher: DigestHasher;
  #taken = 0;

  constructor(range: FileRange, label: string, algorithm: OciAlgorithm) {
    this.#range = range;
    this.#label = label;
    this.#hasher = new DigestHasher(algorithm);
  }

  get size(): number {
    return this.#range.size;
  }

  /** Bytes taken so far. */
  get taken(): number {
    return this.#taken;
  }

  get atEnd(): boolean {
    return this.#taken === this.#range.size;
  }

  /**
   * Fills the front of `buffer` with the next bytes and returns that part of it, which is empty at
   * the end only.
   *
   * @throws {@link IntegrityError} `SIZE_MISMATCH` when the file ends before the blob does
   */
  readInto(buffer: Uint8Array): Uint8Array {
    const want = Math.min(buffer.length, this.#range.size - this.#taken);
    let got = 0;
    while (got < want) {
      const count = this.#read(buffer, got, want - got);
      if (count === 0) {
        throw new IntegrityError(
          "SIZE_MISMATCH",
          `${this.#label}: expected ${this.#range.size} bytes, got ${this.#taken + got}`,
        );
      }
      got += count;
    }
    const chunk = buffer.subarray(0, got);
    this.#hasher.update(chunk);
    this.#taken += got;
    return chunk;
  }

  /** All bytes that are left, in chunks that stay valid when `fresh`, else until the next one. */
  *chunks(fresh = false): Generator<Uint8Array, void> {
    let buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, this.#range.size));
    while (!this.atEnd) {
      yield this.readInto(buffer);
      if (fresh) buffer = Buffer.allocUnsafeSlow(buffer.length);
    }
  }

  /** The digest of the whole blob; reads what has not been taken yet. Call it once. */
  digest(): OciDigest {
    for (const _ of this.chunks());
    return this.#hasher.digest();
  }

  #read(buffer: Uint8Array, at: number, length: number): number {
    try {
      return readSync(this.#range.fd, buffer, at, length, this.#range.offset + this.#taken + at);
    } catch (error) {
      throw failure(this.#label, error);
    }
  }
}
