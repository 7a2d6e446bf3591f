/**
 * Directories: made with the right modes, and on the disk when they must be.
 *
 * @module
 */
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./failure.ts";
import { syncPath } from "./sync.ts";

const ALL = 0o7777;
const PRIVATE = 0o700;

/**
 * Makes a directory that may exist, with the rights of the one that it is in: an owner lets a group
 * write to a store once. Not the recursive call of Node: on a read-only file system that one
 * says "not found".
 */
export function makeDirectory(path: string, mode = statSync(dirname(path)).mode & ALL): void {
  try {
    newDirectory(path, mode);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

/** Makes a directory that must not exist, with exactly this mode whatever the umask. */
export function newDirectory(path: string, mode: number): void {
  mkdirSync(path, mode);
  if ((process.umask() & mode) !== 0) chmodSync(path, mode);
}

/**
 * Makes a directory that may exist, and those above it, for this user alone. Each new name is on
 * the disk before something is put inside.
 */
export function makePrivateDirectories(path: string): void {
  try {
    if (!makePrivate(path)) return;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    makePrivateDirectories(dirname(path));
    makePrivate(path);
  }
  syncPath(dirname(path));
}

/** Returns false when it is there, perhaps made by another process just now. */
function makePrivate(path: string): boolean {
  try {
    mkdirSync(path, { mode: PRIVATE });
    return true;
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    return false;
  }
}
