/**
 * The lock of a store: shared by any number of writers and fetching mounts, exclusive for what
 * removes things (gc, repair). It is a flock on the file `lock`, so the lock of a process that died
 * is gone with it.
 *
 * Spec: flock(2).
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { type LockKind, flock } from "../sys/flock.ts";
import { failure } from "./failure.ts";
import { LOCK_FILE } from "./layout.ts";
import type { Store } from "./store.ts";

/** How long to wait for a lock when nothing else is said. */
export const LOCK_TIMEOUT_MS = 30_000;

/** A lock that this process holds until it lets go, or ends. */
export class StoreLock {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * For writers: nothing is removed from the store while it is held. Where the file system cannot
   * lock files it holds nothing; there {@link exclusive} always fails, so nothing is removed either.
   *
   * @throws {@link SystemError} `BUSY` when the store is being cleaned up for longer than
   *   `timeoutMs`; `READ_ONLY` or `PERMISSION` when the store cannot be written to
   */
  static shared(store: Store, timeoutMs = LOCK_TIMEOUT_MS): StoreLock {
    const { fd, result } = take(store, "shared", timeoutMs);
    if (result !== "busy") return new StoreLock(fd);
    closeSync(fd);
    throw new SystemError("BUSY", `store ${store.path}: another process is cleaning it up`);
  }

  /**
   * For those who remove: nobody writes and nobody else removes while it is held.
   *
   * @throws {@link SystemError} `BUSY` when others work with the store for longer than `timeoutMs`;
   *   `IO` where the file system cannot lock files; `READ_ONLY` or `PERMISSION`
   */
  static exclusive(store: Store, timeoutMs = LOCK_TIMEOUT_MS): StoreLock {
    const { fd, result } = take(store, "exclusive", timeoutMs);
    if (result === "locked") return new StoreLock(fd);
    closeSync(fd);
    if (result === "busy") {
      throw new SystemError("BUSY", `store ${store.path}: other processes are working with it`, {
        hint: "try again when builds and fetches are done, or wait longer with --timeout",
      });
    }
    throw new SystemError("IO", `store ${store.path}: its file system cannot lock files`, {
      hint: "without locks nothing can be removed safely while others may be writing",
    });
  }

  release(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function take(store: Store, kind: LockKind, timeoutMs: number) {
  try {
    // For writing, as some network file systems lock exclusively only then; and a store that is
    // read-only says so here.
    const fd = openSync(`${store.path}/${LOCK_FILE}`, "a", 0o644);
    return { fd, result: flock(fd, kind, timeoutMs) };
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  }
}

/** Runs `work` under the exclusive lock. */
export function exclusively<T>(store: Store, timeoutMs: number | undefined, work: () => T): T {
  const lock = StoreLock.exclusive(store, timeoutMs);
  try {
    return work();
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  } finally {
    lock.release();
  }
}
