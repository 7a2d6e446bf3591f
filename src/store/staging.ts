/**
 * Staging directories, `tmp/<name>`: where a writer keeps what is not published yet. Each holds a
 * file `lock` on which its writer has an exclusive flock; a process that makes a new one removes
 * those whose lock is free, because their writers are dead. Neither process ids nor times tell
 * whether a writer lives.
 *
 * Where files cannot be locked the name starts with `unlocked-<boot id>-`. Such a directory is only
 * removed when it is of an earlier boot and a day old.
 *
 * Spec: docs/store.md, "Temporary files".
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { type LockResult, flock } from "../sys/flock.ts";
import { bootId } from "./boot-id.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { PARTIAL_PREFIX, TMP } from "./layout.ts";
import type { Store } from "./store.ts";

const LOCK = "lock";
const UNLOCKED = "unlocked-";
const STAGING = /^[0-9a-f]{24}$/;
const FILE = /^(?:leaves|meta)-[0-9a-f-]{36}$/;
const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
const WEEK_MS = 7 * DAY_MS;
/** How often a directory is made again after another writer removed it. */
const CREATE_TRIES = 10;

/** A staging directory of this process. */
export class StagingDirectory {
  /** In the store. */
  readonly name: string;
  readonly files: HeldDirectory;
  readonly #store: HeldDirectory;
  readonly #lockFd: number;

  private constructor(store: HeldDirectory, name: string, lockFd: number) {
    this.name = name;
    this.files = store.below(name);
    this.#store = store;
    this.#lockFd = lockFd;
  }

  /**
   * Makes a directory in `tmp/`.
   *
   * @throws {@link SystemError} when the store cannot be written to
   */
  static create(store: Store): StagingDirectory {
    store.requireWritable();
    const { files } = store;
    try {
      for (let attempt = 0; attempt < CREATE_TRIES; attempt++) {
        const name = `${TMP}/${randomBytes(12).toString("hex")}`;
        const made = tryCreate(files, name);
        if (made === "unavailable") return StagingDirectory.#createUnlocked(files);
        if (made !== undefined) return new StagingDirectory(files, name, made);
      }
    } catch (error) {
      throw failure(`store ${files.pathOf(TMP)}`, error);
    }
    throw new SystemError(
      "BUSY",
      `store ${files.pathOf(TMP)}: other writers removed every new staging directory`,
    );
  }

  static #createUnlocked(files: HeldDirectory): StagingDirectory {
    const name = `${TMP}/${UNLOCKED}${bootId()}-${randomBytes(12).toString("hex")}`;
    files.newDirectory(name, 0o700);
    return new StagingDirectory(files, name, -1);
  }

  /**
   * Removes the directory with what is left in it. Never throws: a later writer removes the rest.
   */
  remove(): void {
    this.files.close();
    removeDirectory(this.#store, this.name);
    if (this.#lockFd >= 0) closeSync(this.#lockFd);
  }
}

/** Makes a directory and locks it; undefined when another writer removed it before that. */
function tryCreate(files: HeldDirectory, name: string): number | "unavailable" | undefined {
  files.newDirectory(name, 0o700);
  let lockFd: number;
  try {
    lockFd = files.newFile(`${name}/${LOCK}`, 0o600);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    removeDirectory(files, name);
    throw error;
  }
  let result: LockResult;
  try {
    result = flock(lockFd, "exclusive");
  } catch (error) {
    removeDirectory(files, name);
    closeSync(lockFd);
    throw error;
  }
  if (result === "locked" && fstatSync(lockFd).nlink > 0) return lockFd;
  closeSync(lockFd);
  if (result !== "unavailable") return undefined;
  removeDirectory(files, name);
  return "unavailable";
}

/**
 * Removes the staging directories of dead writers; what sealfs does not name so stays. Problems are
 * left to the next run.
 */
export function reapStaging({ files }: Store): void {
  for (const entry of files.names(TMP)) {
    const name = `${TMP}/${entry}`;
    try {
      if (FILE.test(entry)) reapFile(files, name);
      else if (entry.startsWith(PARTIAL_PREFIX)) reapPartial(files, name);
      else if (entry.startsWith(UNLOCKED)) reapUnlocked(files, name);
      else if (STAGING.test(entry)) reapLocked(files, name);
    } catch {
      // in use, or not ours to remove
    }
  }
}

/** Caches and the like: losing one that a slow writer still needs does no harm. */
function reapFile(files: HeldDirectory, name: string): void {
  if (age(files, name) > HOUR_MS) files.unlink(name);
}

/** A part of an object that no fetch has resumed for a week. */
function reapPartial(files: HeldDirectory, name: string): void {
  if (age(files, name) < WEEK_MS) return;
  const fd = files.open(name, constants.O_RDWR);
  try {
    if (flock(fd, "exclusive") === "locked") files.unlink(name);
  } finally {
    closeSync(fd);
  }
}

function reapUnlocked(files: HeldDirectory, name: string): void {
  if (name.startsWith(`${TMP}/${UNLOCKED}${bootId()}-`)) return;
  if (age(files, name) > DAY_MS) removeDirectory(files, name);
}

function reapLocked(files: HeldDirectory, name: string): void {
  let lockFd: number;
  try {
    lockFd = files.open(`${name}/${LOCK}`, constants.O_RDWR);
  } catch (error) {
    // Not locked yet, or being removed by another writer: only an empty one can be removed.
    if (errnoOf(error) === "ENOENT") files.removeDirectory(name);
    return;
  }
  try {
    if (flock(lockFd, "exclusive") === "locked") removeDirectory(files, name);
  } finally {
    closeSync(lockFd);
  }
}

function age(files: HeldDirectory, name: string): number {
  return Date.now() - (files.stat(name)?.mtimeMs ?? Date.now());
}

/** The lock file goes last, so that what is half removed can be found and finished. */
function removeDirectory(files: HeldDirectory, name: string): void {
  try {
    const inside = files.below(name);
    try {
      for (const entry of inside.names()) if (entry !== LOCK) inside.removeTree(entry);
    } finally {
      inside.close();
    }
    files.removeTree(name);
  } catch {
    // the next writer tries again
  }
}
