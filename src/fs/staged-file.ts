/**
 * One file in a staging directory: created exclusively, written by plain synchronous calls (faster
 * than every asynchronous way, for a builder), closed. Blocks of zeros are left out as holes.
 *
 * @module
 */
import { closeSync, fsyncSync, ftruncateSync } from "node:fs";
import { writeFully } from "./descriptor-io.ts";
import { dataRuns } from "./data-runs.ts";
import { failure } from "./failure.ts";
import type { HeldDirectory } from "./held-directory.ts";

const MODE = 0o444;

/** A file that is being written. */
export class StagedFile {
  /** Bytes written so far, holes included. */
  size = 0;
  #end = 0; // of the last bytes that are no hole
  readonly #path: string;
  #fd: number;

  /** @throws {@link SystemError} when it cannot be made */
  constructor(directory: HeldDirectory, name: string) {
    this.#path = directory.pathOf(name);
    try {
      this.#fd = directory.newFile(name, MODE);
    } catch (error) {
      throw failure(this.#path, error);
    }
  }

  /**
   * `take` is told how many bytes are about to be written.
   *
   * @throws {@link SystemError} `NO_SPACE`, `IO`, …; the file is closed then
   */
  write(bytes: Uint8Array, take?: (bytes: number) => void): void {
    for (const [start, end] of dataRuns(bytes, this.size)) {
      take?.(end - start);
      this.#writeAt(bytes.subarray(start, end), this.size + start);
    }
    this.size += bytes.length;
  }

  #writeAt(bytes: Uint8Array, position: number): void {
    try {
      writeFully(this.#fd, bytes, position);
      this.#end = position + bytes.length;
    } catch (error) {
      this.abandon();
      throw failure(this.#path, error);
    }
  }

  /**
   * With `sync` its content is on the disk afterwards.
   *
   * @throws {@link SystemError} when the system reports a lost write
   */
  close(sync: boolean): void {
    const fd = this.#fd;
    this.#fd = -1;
    try {
      if (this.#end < this.size) ftruncateSync(fd, this.size);
      if (sync) fsyncSync(fd);
    } catch (error) {
      closeSync(fd);
      throw failure(this.#path, error);
    }
    try {
      closeSync(fd);
    } catch (error) {
      throw failure(this.#path, error);
    }
  }

  /** Closes the descriptor without a word, if it is open. */
  abandon(): void {
    if (this.#fd < 0) return;
    try {
      closeSync(this.#fd);
    } catch {
      // the error that led here is the one to tell
    }
    this.#fd = -1;
  }
}

/** Stages a file whose content is at hand; with `sync` that is on the disk afterwards. */
export function writeStagedFile(
  directory: HeldDirectory,
  name: string,
  bytes: Uint8Array,
  sync: boolean,
): void {
  const file = new StagedFile(directory, name);
  file.write(bytes);
  file.close(sync);
}
