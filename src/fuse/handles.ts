/**
 * Handles of open files: descriptors, counted across all threads of a mount so that they stay below
 * the process's limit. Beyond it files are opened anew for each read.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { NO_DESCRIPTOR } from "./filesystem.ts";

/** The handle of a file without a descriptor of its own. */
const NONE = 0;

/** The open files of one mount. */
export class Handles {
  /** One word: how many descriptors are held. */
  readonly memory: SharedArrayBuffer;
  readonly #count: Int32Array;
  readonly #most: number;

  constructor(most: number, memory = new SharedArrayBuffer(4)) {
    this.memory = memory;
    this.#count = new Int32Array(memory);
    this.#most = most;
  }

  /** The handle of a descriptor, which now belongs to it. */
  hold(fd: number): number {
    if (fd === NO_DESCRIPTOR) return NONE;
    if (Atomics.add(this.#count, 0, 1) < this.#most) return fd + 1;
    Atomics.sub(this.#count, 0, 1);
    closeSync(fd);
    return NONE;
  }

  descriptor(handle: number): number {
    return handle === NONE ? NO_DESCRIPTOR : handle - 1;
  }

  release(handle: number): void {
    if (handle === NONE) return;
    Atomics.sub(this.#count, 0, 1);
    closeSync(handle - 1);
  }
}
