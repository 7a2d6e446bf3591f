/**
 * The lock of a store: shared by any number of writers and fetching mounts, exclusive for what
 * removes things (gc, repair). It is a flock on the file `lock`, so the lock of a process that died
 * is gone with it.
 *
 * Spec: docs/store.md, "Locks"; flock(2).
 *
 * @module
 */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, fsyncSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { SystemError } from "../errors.ts";
import { type LockKind, type LockResult, flock } from "../sys/flock.ts";
import { lockHolders } from "../sys/lock-holders.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { GATE_FILE, LOCK_FILE } from "./layout.ts";
import { lockMode } from "./ownership.ts";
import type { Store } from "./store.ts";

/**
 * How long to wait by default. Writers wait longer than gc does: when a long write keeps gc
 * waiting, gc gives up before the writers that wait behind it.
 */
const SHARED_TIMEOUT_MS = 90_000;
const EXCLUSIVE_TIMEOUT_MS = 30_000;
const RETRY_MS = 50;

/** A lock that this process holds until it releases it, or ends. */
export class StoreLock {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * For writers: nothing is removed from the store while it is held. Where the file system cannot
   * lock files it holds nothing; there {@link exclusive} always fails, so nothing is removed
   * either.
   *
   * @throws {@link SystemError} `BUSY` when the store is being cleaned up for longer than
   *   `timeoutMs`; `READ_ONLY` or `PERMISSION` when the store cannot be written to
   */
  static shared(store: Store, timeoutMs = SHARED_TIMEOUT_MS): StoreLock {
    return StoreLock.#shared(store, take(store, "shared", timeoutMs));
  }

  static #shared(store: Store, taken: Taken): StoreLock {
    if (taken !== "busy") return new StoreLock(taken.fd);
    throw new SystemError("BUSY", `store ${store.path}: another process is cleaning it up`, {
      hint: holders(store),
    });
  }

  /**
   * For gc and repair: while it is held no other process writes to the store or removes from it.
   *
   * @throws {@link SystemError} `BUSY` when others work with the store for longer than `timeoutMs`;
   *   `IO` where the file system cannot lock files; `READ_ONLY` or `PERMISSION`
   */
  static exclusive(store: Store, timeoutMs = EXCLUSIVE_TIMEOUT_MS): StoreLock {
    return StoreLock.#exclusive(store, take(store, "exclusive", timeoutMs));
  }

  /** As {@link shared}, but the process hears of other things while it waits, `signal` among them. */
  static async sharedUntil(
    signal: AbortSignal,
    store: Store,
    timeoutMs = SHARED_TIMEOUT_MS,
  ): Promise<StoreLock> {
    return StoreLock.#shared(store, await takeUntil(signal, store, "shared", timeoutMs));
  }

  /** As {@link exclusive}, in the same way. */
  static async exclusiveUntil(
    signal: AbortSignal,
    store: Store,
    timeoutMs = EXCLUSIVE_TIMEOUT_MS,
  ): Promise<StoreLock> {
    return StoreLock.#exclusive(store, await takeUntil(signal, store, "exclusive", timeoutMs));
  }

  static #exclusive(store: Store, taken: Taken): StoreLock {
    if (taken === "busy") {
      throw new SystemError("BUSY", `store ${store.path}: other processes are working with it`, {
        hint: [
          "try again when builds and fetches are done, or wait longer with --timeout",
          holders(store),
        ].filter((line) => line !== undefined).join("; "), // prettier-ignore
      });
    }
    if (taken.result === "locked") return new StoreLock(taken.fd);
    closeSync(taken.fd);
    throw new SystemError("IO", `store ${store.path}: its file system cannot lock files`, {
      hint: "without locks nothing can be removed safely while others may be writing",
    });
  }

  /**
   * Makes sure that the file system was alive until now. One that has shut itself down after an
   * error of its disk may report success for the fsync of a directory (XFS does, as nothing is
   * pending any more), but not for that of a file: so this comes between the last sync of a
   * directory and the report of success to the caller.
   *
   * @throws {@link SystemError} `IO` when it is not
   */
  confirm(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      throw failure("lock", error);
    }
  }

  release(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Every process takes the gate first and releases it as soon as it has the lock. A process that
 * waits for the exclusive lock holds the gate meanwhile, so that a stream of writers, each starting
 * before the last has ended, cannot keep gc out for ever.
 */
function take(store: Store, kind: LockKind, timeoutMs: number): Taken {
  const attempts = attempting(store, kind, timeoutMs, Infinity);
  for (;;) {
    const attempt = attempts.next();
    if (attempt.done === true) return attempt.value;
  }
}

async function takeUntil(
  signal: AbortSignal,
  store: Store,
  kind: LockKind,
  timeoutMs: number,
): Promise<Taken> {
  const attempts = attempting(store, kind, timeoutMs, 0);
  try {
    for (;;) {
      const attempt = attempts.next();
      if (attempt.done === true) return attempt.value;
      await setTimeout(RETRY_MS, undefined, { signal });
    }
  } finally {
    attempts.return("busy");
  }
}

type Taken = "busy" | { readonly fd: number; readonly result: LockResult };

/** The same, waiting for at most `patienceMs` at a time. */
function* attempting(
  store: Store,
  kind: LockKind,
  timeoutMs: number,
  patienceMs: number,
): Generator<void, Taken, undefined> {
  store.requireWritable();
  const end = performance.now() + timeoutMs;
  const gate = open(store, GATE_FILE);
  try {
    if ((yield* locking(gate, kind, end, patienceMs)) === "busy") return "busy";
    const fd = open(store, LOCK_FILE);
    let isHeld = false;
    try {
      const result = yield* locking(fd, kind, end, patienceMs);
      isHeld = result !== "busy";
      return result === "busy" ? result : { fd, result };
    } finally {
      if (!isHeld) closeSync(fd);
    }
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  } finally {
    closeSync(gate);
  }
}

/** `end` is a time of performance.now(). */
function* locking(
  fd: number,
  kind: LockKind,
  end: number,
  patienceMs: number,
): Generator<void, LockResult, undefined> {
  for (;;) {
    const left = Math.max(0, end - performance.now());
    const result = flock(fd, kind, Math.min(left, patienceMs));
    if (result !== "busy" || performance.now() >= end) return result;
    yield;
  }
}

const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;

/**
 * Opens a file for writing: some network file systems grant exclusive locks only then, and a
 * read-only store fails here.
 */
function open(store: Store, file: string): number {
  try {
    const mode = lockMode(store.files);
    const fd = store.files.open(file, FLAGS, mode);
    giveToOwner(store.files, fd);
    restrict(fd, mode);
    return fd;
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  }
}

/** Who keeps us waiting, for a message; undefined when the system does not tell. */
function holders({ files }: Store): string | undefined {
  const pids = [GATE_FILE, LOCK_FILE].flatMap((name) => {
    const stat = files.stat(name);
    return stat === undefined ? [] : lockHolders(stat);
  });
  const others = new Set(pids.filter((pid) => pid !== process.pid));
  return others.size === 0 ? undefined : `its lock is held by process ${[...others].join(", ")}`;
}

/** What root has made in somebody else's store must not keep its owner out. */
function giveToOwner(files: HeldDirectory, fd: number): void {
  if (process.geteuid?.() !== 0 || fstatSync(fd).uid !== 0) return;
  const { uid, gid } = files.stat("")!;
  if (uid !== 0) fchownSync(fd, uid, gid);
}

/**
 * Opened by those who may write to the store and nobody else, who could keep us waiting: earlier
 * versions let all readers of the store, and a umask may have been at work.
 */
function restrict(fd: number, mode: number): void {
  if ((fstatSync(fd).mode & 0o777) === mode) return;
  try {
    fchmodSync(fd, mode);
  } catch {
    // another user's, who may do it
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
