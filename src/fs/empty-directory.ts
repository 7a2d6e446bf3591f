/**
 * Removing all that a directory holds, at any depth and with few descriptors, through no symbolic
 * links: directories inside move up to the first one before they are emptied.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { procPath } from "./lookup.ts";

const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Empties the directory; nobody can have put another at `path`, such as `/proc/thread-self/fd/N`. */
export function emptyDirectory(path: string): void {
  const inner = emptyInto(path, path);
  for (const moved of inner) {
    const fd = openSync(moved, FLAGS);
    try {
      inner.push(...emptyInto(procPath(fd), path));
    } finally {
      closeSync(fd);
    }
    rmdirSync(moved);
  }
}

/**
 * Unlinks the files of a directory, and moves its directories to `top` under names that nobody else
 * has; returns their paths.
 */
function emptyInto(directory: string, top: string): string[] {
  const moved: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), entry.name]);
    if (!entry.isDirectory()) {
      unlinkSync(path);
      continue;
    }
    const to = `${top}/removed-${randomBytes(12).toString("hex")}`;
    renameSync(path, to);
    moved.push(to);
  }
  return moved;
}
