/**
 * Files that the user has named.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
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
    if (size > max) throw new FormatError("LIMIT", `${what}: at most ${max} bytes, got ${size}`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
