/**
 * Descriptors of objects that are being read, kept from one read to the next. Bounded: beyond it, and
 * so however many files are open in the mount, the one that was not read for the longest goes.
 *
 * @module
 */
import { closeSync } from "node:fs";

/** Open descriptors by the number of the file. */
export class OpenFiles {
  readonly #capacity: number;
  readonly #fds = new Map<number, number>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The descriptor of a file; undefined when none is held. */
  get(file: number): number | undefined {
    const fd = this.#fds.get(file);
    if (fd === undefined || this.#fds.size === 1) return fd;
    this.#fds.delete(file);
    this.#fds.set(file, fd); // now the newest
    return fd;
  }

  /** Takes a descriptor, which now belongs here. */
  add(file: number, fd: number): void {
    this.drop(file);
    this.#fds.set(file, fd);
    if (this.#fds.size <= this.#capacity) return;
    for (const oldest of this.#fds.keys()) {
      this.drop(oldest);
      break;
    }
  }

  /** Closes the descriptor of a file, if one is held. */
  drop(file: number): void {
    const fd = this.#fds.get(file);
    if (fd === undefined) return;
    this.#fds.delete(file);
    closeSync(fd);
  }
}
