/**
 * Files that appear whole or not at all.
 *
 * @module
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { UsageError } from "../errors.ts";

/**
 * Makes a file that must not exist.
 *
 * @throws {@link UsageError} when something is there already
 */
export function createFile(path: string, bytes: Uint8Array, mode: number): void {
  try {
    write(path, bytes, mode);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new UsageError("USAGE", `${path}: exists already, and is not overwritten`, { cause });
  }
}

/** Makes a file, or puts it in another's place. */
export function replaceFile(path: string, bytes: Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    write(temporary, bytes, mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}

function write(path: string, bytes: Uint8Array, mode: number): void {
  const fd = openSync(path, "wx", mode);
  try {
    let at = 0;
    while (at < bytes.length) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
