/**
 * Files that the user has named.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { FormatError, NotFoundError, UsageError } from "../errors.ts";
import { type AtomicFileOptions, createFile, replaceFile } from "./atomic-file.ts";
import { errnoOf, failure } from "./failure.ts";

/**
 * Opens a file for reading; symlinks in its path are the user's own. `hint` says where else the file
 * might be.
 *
 * @throws {@link NotFoundError} `NO_FILE`; {@link UsageError} for a directory; {@link SystemError}
 *   otherwise
 */
export function openUserFile(path: string, what: string, hint?: string): number {
  try {
    const fd = openSync(path, "r");
    if (!fstatSync(fd).isDirectory()) return fd;
    closeSync(fd);
  } catch (cause) {
    if (!["ENOENT", "ENOTDIR"].includes(errnoOf(cause) ?? "")) throw failure(what, cause);
    throw new NotFoundError("NO_FILE", `${what}: no such file`, { hint });
  }
  throw new UsageError("USAGE", `${what}: expected a file, got a directory`, { hint });
}

/**
 * The bytes of a file, which may be a pipe or a device.
 *
 * @throws as {@link openUserFile}; {@link FormatError} `LIMIT` over `max` bytes
 */
export function readUserFile(path: string, max: number, what: string, hint?: string): Uint8Array {
  const fd = openUserFile(path, what, hint);
  try {
    const { size } = fstatSync(fd);
    if (size > max) throw tooLong(what, max, size);
    return readUpTo(fd, size, max, what);
  } catch (cause) {
    throw failure(what, cause);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes a file, in place of one that exists; it appears whole or not at all.
 *
 * @throws {@link NotFoundError} `NO_FILE` when its directory does not exist; {@link UsageError} for
 *   the path of a directory; {@link SystemError} otherwise
 */
export function writeUserFile(path: string, content: Uint8Array | string): void {
  writing(path, () => replaceFile(path, content, { mode: 0o644, sync: true }));
}

/** As {@link writeUserFile}, but what exists is refused with a {@link UsageError}. */
export function createUserFile(
  path: string,
  content: Uint8Array | string,
  mode: AtomicFileOptions["mode"],
): void {
  writing(path, () => createFile(path, content, { mode, sync: true }));
}

function writing(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    const directory = dirname(path);
    switch (errnoOf(cause)) {
      case "ENOENT":
        throw new NotFoundError("NO_FILE", `${path}: there is no directory ${directory}`, {
          hint: `make it with: mkdir -p ${directory}`,
        });
      case "ENOTDIR":
        throw new UsageError("USAGE", `${path}: ${directory} is not a directory`);
      case "EISDIR":
      case "ENOTEMPTY":
        throw new UsageError("USAGE", `${path}: expected the name of a file, got a directory`);
      default:
        throw failure(path, cause);
    }
  }
}

/** Whether `path` leads to a regular file. (Others are only waited for when the user has named them.) */
export function isUserFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Reads to the end; `size` is a guess for pipes and devices. */
function readUpTo(fd: number, size: number, max: number, what: string): Uint8Array {
  let bytes = new Uint8Array(Math.min(max, Math.max(size, START)) + 1);
  let at = 0;
  for (;;) {
    const got = readSync(fd, bytes, at, bytes.length - at, null);
    if (got === 0) return bytes.subarray(0, at);
    at += got;
    if (at > max) throw tooLong(what, max, at);
    if (at < bytes.length) continue;
    const longer = new Uint8Array(Math.min(max + 1, 2 * bytes.length));
    longer.set(bytes);
    bytes = longer;
  }
}

const START = 64 * 1024;

function tooLong(what: string, max: number, got: number): FormatError {
  return new FormatError("LIMIT", `${what}: expected at most ${max} bytes, got ${got}`);
}
