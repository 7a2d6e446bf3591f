/**
 * New files, to be written bit by bit (files that are at hand: `atomic-file.ts`).
 *
 * @module
 */
import { fchmodSync, openSync } from "node:fs";

/** Creates a file that must not exist, open for writing, with exactly this mode whatever the umask. */
export function openNewFile(path: string, mode: number): number {
  const fd = openSync(path, "wx", mode);
  if ((process.umask() & mode) !== 0) fchmodSync(fd, mode);
  return fd;
}
