/**
 * The beginnings of large objects: `tmp/partial-<digest>`, kept when a fetch is interrupted so that
 * the next one goes on from there. Their content is unchecked. One process at a time works with
 * such a file, by an flock on it; a second one takes a file of its own.
 *
 * Spec: docs/store.md, "Partial objects".
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  read as readCallback,
  unlinkSync,
} from "node:fs";
import { promisify } from "node:util";
import { flock } from "../sys/flock.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { dataRuns } from "../fs/data-runs.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { failure } from "../fs/failure.ts";
import { PARTIAL_PREFIX } from "./layout.ts";
import type { Store } from "./store.ts";

const read = promisify(readCallback);
const READ_BYTES = 1024 * 1024;
/** How often a file is opened again after another process removed it. */
const OPEN_TRIES = 10;

/** A file that grows at its end. */
export class PartialFile {
  readonly path: string;
  /** Bytes that it holds. */
  size: number;
  readonly #isKept: boolean;
  #fd: number;

  private constructor(path: string, fd: number, size: number, isKept: boolean) {
    this.path = path;
    this.size = size;
    this.#fd = fd;
    this.#isKept = isKept;
  }

  /**
   * What an earlier fetch left of an object, or an empty file. `size` is the object's: a file that
   * has more bytes is emptied.
   *
   * @throws {@link SystemError} when the store cannot be written to
   */
  static open(store: Store, digest: VerityDigest, size: number): PartialFile {
    const path = `${store.path}/tmp/${PARTIAL_PREFIX}${digest}`;
    try {
      for (let i = 0; i < OPEN_TRIES; i++) {
        const opened = openLocked(path);
        if (opened === undefined) continue;
        if (opened === "busy") break;
        if (opened.size > size) ftruncateSync(opened.fd, (opened.size = 0));
        return new PartialFile(path, opened.fd, opened.size, true);
      }
      const own = `${path}.${randomBytes(8).toString("hex")}`;
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
      return new PartialFile(own, openSync(own, flags, 0o600), 0, false);
    } catch (error) {
      throw failure(`store ${store.path}`, error);
    }
  }

  /** All that it holds; a chunk is good until the next. */
  async *content(): AsyncGenerator<Uint8Array, void, undefined> {
    const chunk = new Uint8Array(Math.min(READ_BYTES, this.size));
    for (let at = 0; at < this.size;) {
      const { bytesRead } = await read(this.#fd, chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  }

  /** @throws {@link SystemError} `NO_SPACE`, `IO`, … */
  append(bytes: Uint8Array): void {
    try {
      let written = 0;
      for (const [start, end] of dataRuns(bytes, this.size)) {
        writeFully(this.#fd, bytes.subarray(start, end), this.size + start);
        written = end;
      }
      this.size += bytes.length;
      if (written < bytes.length) ftruncateSync(this.#fd, this.size);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  /** Discards the bytes that it holds. */
  reset(): void {
    try {
      ftruncateSync(this.#fd, 0);
      this.size = 0;
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  /** Gives it the mode of an object, for a transaction that takes it over. */
  complete(): void {
    try {
      fchmodSync(this.#fd, 0o444);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  /** Closes the file; `keep` leaves it for the next fetch, else it is removed. */
  close({ keep }: { readonly keep: boolean }): void {
    if (this.#fd < 0) return;
    try {
      // Before the lock is released, so that no other process can have started to use it.
      if (!keep || !this.#isKept || this.size === 0) unlinkSync(this.path);
    } catch {
      // taken over, or reaped later
    }
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Undefined when another process removed the file between opening and locking it. */
function openLocked(path: string): { fd: number; size: number } | "busy" | undefined {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    if (flock(fd, "exclusive") === "locked") {
      // Another process may have published it meanwhile, and then it is no longer ours to write to.
      const opened = fstatSync(fd);
      const named = lstatSync(path, { throwIfNoEntry: false });
      const isOurs = opened.isFile() && opened.ino === named?.ino && opened.dev === named.dev;
      if (isOurs) return { fd, size: opened.size };
      closeSync(fd);
      return undefined;
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return "busy";
}
