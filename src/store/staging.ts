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
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { SystemError } from "../errors.ts";
import { type LockResult, flock } from "../sys/flock.ts";
import { bootId } from "./boot-id.ts";
import { newDirectory } from "../fs/directory.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { openNewFile } from "../fs/new-file.ts";
import { PARTIAL_PREFIX } from "./layout.ts";

const LOCK = "lock";
const UNLOCKED = "unlocked-";
const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
const WEEK_MS = 7 * DAY_MS;
/** How often a directory is made again after another writer removed it. */
const CREATE_TRIES = 10;

/** A staging directory of this process. */
export class StagingDirectory {
  readonly path: string;
  readonly #lockFd: number;

  private constructor(path: string, lockFd: number) {
    this.path = path;
    this.#lockFd = lockFd;
  }

  /**
   * Makes a directory below `tmp`, a store's `tmp/`.
   *
   * @throws {@link SystemError} when the store cannot be written to
   */
  static create(tmp: string): StagingDirectory {
    try {
      for (let attempt = 0; attempt < CREATE_TRIES; attempt++) {
        const made = tryCreate(tmp, randomBytes(12).toString("hex"));
        if (made === "unavailable") return StagingDirectory.#createUnlocked(tmp);
        if (made !== undefined) return new StagingDirectory(made.path, made.lockFd);
      }
    } catch (error) {
      throw failure(`store ${tmp}`, error);
    }
    throw new SystemError(
      "BUSY",
      `store ${tmp}: other writers removed every new staging directory`,
    );
  }

  static #createUnlocked(tmp: string): StagingDirectory {
    const path = `${tmp}/${UNLOCKED}${bootId()}-${randomBytes(12).toString("hex")}`;
    newDirectory(path, 0o700);
    return new StagingDirectory(path, -1);
  }

  /**
   * Removes the directory with what is left in it. Never throws: a later writer removes the rest.
   */
  remove(): void {
    removeDirectory(this.path);
    if (this.#lockFd >= 0) closeSync(this.#lockFd);
  }
}

/** Makes and locks a directory; undefined when another writer removed it before it was locked. */
function tryCreate(
  tmp: string,
  name: string,
): { path: string; lockFd: number } | "unavailable" | undefined {
  const path = `${tmp}/${name}`;
  newDirectory(path, 0o700);
  let lockFd: number;
  try {
    lockFd = openNewFile(`${path}/${LOCK}`, 0o600);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    removeDirectory(path);
    throw error;
  }
  let result: LockResult;
  try {
    result = flock(lockFd, "exclusive");
  } catch (error) {
    removeDirectory(path);
    closeSync(lockFd);
    throw error;
  }
  if (result === "locked" && fstatSync(lockFd).nlink > 0) return { path, lockFd };
  closeSync(lockFd);
  if (result !== "unavailable") return undefined;
  removeDirectory(path);
  return "unavailable";
}

/** Removes the staging directories of dead writers. Problems are left to the next run. */
export function reapStaging(tmp: string): void {
  for (const name of readdirSync(tmp)) {
    try {
      const path = `${tmp}/${name}`;
      if (name.startsWith("leaves-") || name.startsWith("meta-")) reapFile(path);
      else if (name.startsWith(PARTIAL_PREFIX)) reapPartial(path);
      else if (name.startsWith(UNLOCKED)) reapUnlocked(path, name);
      else reapLocked(path);
    } catch {
      // in use, or not ours to remove
    }
  }
}

/** Caches and the like: losing one that a slow writer still needs does no harm. */
function reapFile(path: string): void {
  if (Date.now() - statSync(path).mtimeMs > HOUR_MS) unlinkSync(path);
}

/** A part of an object that no fetch has resumed for a week. */
function reapPartial(path: string): void {
  if (Date.now() - statSync(path).mtimeMs < WEEK_MS) return;
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (flock(fd, "exclusive") === "locked") unlinkSync(path);
  } finally {
    closeSync(fd);
  }
}

function reapUnlocked(path: string, name: string): void {
  if (name.startsWith(`${UNLOCKED}${bootId()}-`)) return;
  if (Date.now() - statSync(path).mtimeMs > DAY_MS) removeDirectory(path);
}

function reapLocked(path: string): void {
  let lockFd: number;
  try {
    lockFd = openSync(`${path}/${LOCK}`, "r+");
  } catch (error) {
    // Not locked yet, or being removed by another writer: only an empty one can be removed.
    if (errnoOf(error) === "ENOENT") rmdirSync(path);
    return;
  }
  try {
    if (flock(lockFd, "exclusive") === "locked") removeDirectory(path);
  } finally {
    closeSync(lockFd);
  }
}

/** The lock file goes last, so that what is half removed can be found and finished. */
function removeDirectory(path: string): void {
  try {
    for (const name of readdirSync(path)) {
      if (name !== LOCK) unlinkSync(`${path}/${name}`);
    }
    rmSync(path, { recursive: true, force: true });
  } catch {
    // the next writer tries again
  }
}
