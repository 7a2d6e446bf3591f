/**
 * Directories of a store.
 *
 * @module
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { errnoOf } from "./failure.ts";

/**
 * Makes a directory that may exist. Not the recursive call of Node: on a read-only file system
 * that one says "not found".
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

/** Waits until the names in a directory are on the disk. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
