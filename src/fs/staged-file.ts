/**
 * One file in a staging directory: created exclusively, written by plain synchronous calls (faster
 * than every asynchronous way, for a builder), closed.
 *
 * @module
 */
import { closeSync, fsyncSync } from "node:fs";
import { writeFully } from "./descriptor-io.ts";
import { failure } from "./failure.ts";
import { openNewFile } from "./new-file.ts";

const MODE = 0o444;

/** A file that is being written. */
export class StagedFile {
  /** Bytes written so far. */
  size = 0;
  readonly #path: string;
  #fd: number;

  /** @throws {@link SystemError} when it cannot be made */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openNewFile(path, MODE);
    } catch (error) {
      throw failure(path, error);
    }
  }

  /** @throws {@link SystemError} `NO_SPACE`, `IO`, …; the file is closed then */
  write(bytes: Uint8Array): void {
    try {
      writeFully(this.#fd, bytes);
      this.size += bytes.length;
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
export function writeStagedFile(path: string, bytes: Uint8Array, sync: boolean): void {
  const file = new StagedFile(path);
  file.write(bytes);
  file.close(sync);
}
