/**
 * Files that the user has named.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { FormatError, NotFoundError } from "../errors.ts";

/**
 * The bytes of a file: symlinks and pipes are the user's business.
 *
 * @throws {@link NotFoundError} `NO_FILE`; {@link FormatError} `LIMIT` over `max` bytes
 */
export function readUserFile(path: string, max: number, what: string): Uint8Array {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new NotFoundError("NO_FILE", `${what}: no such file`, { cause });
  }
  try {
    const { size } = fstatSync(fd);
    if (size > max) throw tooLong(what, max, size);
    return readUpTo(fd, size, max, what);
  } finally {
    closeSync(fd);
  }
}

/** Whether a regular file is there, by whatever links: what was not named must not be waited for. */
export function isUserFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** To the end, which of a pipe or device nobody knows before. */
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
  return new FormatError("LIMIT", `${what}: at most ${max} bytes, got ${got}`);
}
