/**
 * Free space: a writer stops while some is left, so that the machine and the other writers can go
 * on, and the error comes before everything else on the disk fails too.
 *
 * Spec: docs/store.md, "Free space".
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { SystemError } from "../errors.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";

/** The part of the file system that stays free by default, as in ostree. */
export const MIN_FREE_PERCENT = 3;
/** The margin is never larger than this, whatever the percentage. */
const MOST_FREE_BYTES = 1024 ** 3;
/** Free space is looked at again after this many bytes, or after half of what is left. */
const STEP_BYTES = 16 * 1024 * 1024;

/** Free room of one file system. */
export class FreeSpace {
  readonly #files: HeldDirectory;
  readonly #percent: number;
  /** Bytes to be written before the next look. */
  #step = 0;

  /**
   * Of the file system that a store is on.
   *
   * @throws {@link SystemError} `NO_SPACE` when less than the margin is free already
   */
  constructor(files: HeldDirectory, percent = MIN_FREE_PERCENT) {
    this.#files = files;
    this.#percent = percent;
    this.require(0);
  }

  /**
   * Counts bytes that are about to be written, and looks again now and then.
   *
   * @throws {@link SystemError} `NO_SPACE`
   */
  take(bytes: number): void {
    this.#step -= bytes;
    if (this.#step < 0) this.require(bytes);
  }

  /**
   * Makes sure that `bytes` and the margin are free.
   *
   * @throws {@link SystemError} `NO_SPACE`
   */
  require(bytes: number): void {
    if (this.#percent === 0) return;
    const { free, total } = this.#look();
    this.#step = STEP_BYTES;
    if (total === 0) return; // a file system that does not report its size
    const margin = Math.min(MOST_FREE_BYTES, (total * this.#percent) / 100);
    const left = free - margin - bytes;
    this.#step = Math.min(STEP_BYTES, left / 2);
    if (left >= 0) return;
    const wanted = bytes > 0 ? `${mebibytes(bytes)} and ${mebibytes(margin)}` : mebibytes(margin);
    throw new SystemError(
      "NO_SPACE",
      `${this.#files.path}: expected ${wanted} MiB to be free, got ${mebibytes(free)} MiB`,
      { hint: "make room, or keep less of it free with --min-free" },
    );
  }

  #look(): { free: number; total: number } {
    try {
      const { bsize, blocks, bavail } = this.#files.at("", (path) => statfsSync(path));
      return { free: bavail * bsize, total: blocks * bsize };
    } catch {
      return { free: 0, total: 0 };
    }
  }
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0);
}
