/**
 * Files that the user has named.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { FormatError, NotFoundError } from "../errors.ts";
import { errnoOf } from "./failure.ts";

/**
 * Opens a file for reading; symlinks in its path are the user's own. `hint` says where else the file
 * might be.
 *
 * @throws {@link NotFoundError} `NO_FILE`; what the system says otherwise
 */
export function openUserFile(path: string, what: string, hint?: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    if (!["ENOENT", "ENOTDIR"].includes(errnoOf(cause) ?? "")) throw cause;
    throw new NotFoundError("NO_FILE", `${what}: no such file`, { cause, hint });
  }
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
  } finally {
    closeSync(fd);
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
