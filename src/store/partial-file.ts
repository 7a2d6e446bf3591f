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
  read as readCallback,
} from "node:fs";
import { promisify } from "node:util";
import { flock } from "../sys/flock.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { dataRuns } from "../fs/data-runs.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { PARTIAL_PREFIX, TMP } from "./layout.ts";
import type { Store } from "./store.ts";

const read = promisify(readCallback);
const READ_BYTES = 1024 * 1024;
/** How often a file is opened again after another process removed it. */
const OPEN_TRIES = 10;

/** A file that grows at its end. */
export class PartialFile {
  /** In the store. */
  readonly name: string;
  /** Bytes that it holds. */
  size: number;
  readonly #files: HeldDirectory;
  readonly #isKept: boolean;
  #fd: number;

  private constructor(
    files: HeldDirectory,
    name: string,
    fd: number,
    { size, isKept }: { readonly size: number; readonly isKept: boolean },
  ) {
    this.name = name;
    this.size = size;
    this.#files = files;
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
    store.requireWritable();
    const { files } = store;
    const name = `${TMP}/${PARTIAL_PREFIX}${digest}`;
    try {
      for (let i = 0; i < OPEN_TRIES; i++) {
        const opened = openLocked(files, name);
        if (opened === undefined) continue;
        if (opened === "busy") break;
        if (opened.size > size) ftruncateSync(opened.fd, (opened.size = 0));
        return new PartialFile(files, name, opened.fd, { size: opened.size, isKept: true });
      }
      const own = `${name}.${randomBytes(8).toString("hex")}`;
      const fd = files.open(own, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      return new PartialFile(files, own, fd, { size: 0, isKept: false });
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
      throw failure(this.#files.pathOf(this.name), error);
    }
  }

  /** Discards the bytes that it holds. */
  reset(): void {
    try {
      ftruncateSync(this.#fd, 0);
      this.size = 0;
    } catch (error) {
      throw failure(this.#files.pathOf(this.name), error);
    }
  }

  /** Gives it the mode of an object, for a transaction that takes it over. */
  complete(): void {
    try {
      fchmodSync(this.#fd, 0o444);
    } catch (error) {
      throw failure(this.#files.pathOf(this.name), error);
    }
  }

  /** Closes the file; `keep` leaves it for the next fetch, else it is removed. */
  close({ keep }: { readonly keep: boolean }): void {
    if (this.#fd < 0) return;
    try {
      // Before the lock is released, so that no other process can have started to use it.
      if (!keep || !this.#isKept || this.size === 0) this.#files.unlink(this.name);
    } catch {
      // taken over, or reaped later
    }
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Undefined when another process removed the file between opening and locking it. */
function openLocked(
  files: HeldDirectory,
  name: string,
): { fd: number; size: number } | "busy" | undefined {
  const fd = files.open(name, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    if (flock(fd, "exclusive") === "locked") {
      // Another process may have published it meanwhile, and then it is no longer ours to write to.
      const opened = fstatSync(fd);
      const named = files.stat(name);
      // A file with another name may be anybody's.
      const isOurs = opened.nlink === 1 && opened.ino === named?.ino && opened.dev === named.dev;
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
