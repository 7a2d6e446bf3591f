/**
 * Waiting for the disk, one path at a time (a whole file system: `sys/syncfs.ts`).
 *
 * @module
 */
import { closeSync, fsyncSync, openSync } from "node:fs";

/** Waits until a file's content, or the names in a directory, are on the disk. */
export function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
