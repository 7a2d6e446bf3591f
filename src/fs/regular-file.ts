/**
 * Opening and reading files of a store that anybody may have changed: never through a symlink,
 * never waiting for the other end of a fifo, regular files only.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { FormatError, IntegrityError, NotFoundError } from "../errors.ts";
import { readFully } from "./descriptor-io.ts";
import { errnoOf, failure } from "./failure.ts";

/** An open regular file. */
export interface OpenFile {
  readonly fd: number;
  /** Bytes, as `fstat` told right after opening. */
  readonly size: number;
}

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a regular file for reading.
 *
 * @throws {@link NotFoundError} `NO_FILE` when nothing is there
 * @throws {@link IntegrityError} `WRONG_TYPE` when something else than a regular file is there
 * @throws {@link SystemError} when the system cannot open it
 */
export function openRegular(path: string | Buffer, what: string): OpenFile {
  let fd: number;
  try {
    fd = openSync(path, FLAGS);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") throw new NotFoundError("NO_FILE", `${what}: not there`);
    throw wrongTypeOf(error, what) ?? failure(what, error);
  }
  return { fd, size: requireRegular(fd, what) };
}

/**
 * The size of an open file. One that is not regular is closed.
 *
 * @throws {@link IntegrityError} `WRONG_TYPE`
 */
export function requireRegular(fd: number, what: string): number {
  const stat = fstatSync(fd);
  if (stat.isFile()) return stat.size;
  closeSync(fd);
  throw wrongType(what, stat.isDirectory() ? "a directory" : "a fifo or device");
}

/**
 * The bytes of a small file.
 *
 * @throws {@link FormatError} `LIMIT` when it is larger than `maxBytes`; otherwise as
 *   {@link openRegular}
 */
export function readRegular(path: string, maxBytes: number, what: string): Uint8Array {
  const { fd, size } = openRegular(path, what);
  try {
    if (size > maxBytes) {
      throw new FormatError("LIMIT", `${what}: expected at most ${maxBytes} bytes, got ${size}`);
    }
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, readFully(fd, bytes, 0));
  } catch (error) {
    throw failure(what, error);
  } finally {
    closeSync(fd);
  }
}

/** What open(2) says without following links when something else than a regular file is there. */
const wrongTypes = new Map<string | undefined, string>([
  ["ELOOP", "a symbolic link"],
  ["ENXIO", "a fifo, socket or device"],
  ["ENOTDIR", "a file in place of a directory"],
  ["EISDIR", "a directory"],
]);

/** A failed open as `WRONG_TYPE`; undefined when it failed for another reason. */
export function wrongTypeOf(error: unknown, what: string): IntegrityError | undefined {
  const got = wrongTypes.get(errnoOf(error));
  return got === undefined ? undefined : wrongType(what, got);
}

function wrongType(what: string, got: string): IntegrityError {
  return new IntegrityError("WRONG_TYPE", `${what}: expected a regular file, got ${got}`);
}
