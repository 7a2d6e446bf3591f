/**
 * Looking up a directory below one that is open, through no symbolic links: in one call where
 * openat2(2) can be had, else one component after the other.
 *
 * Spec: openat2(2); proc(5), `/proc/pid/fd`.
 *
 * @module
 */
import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { IntegrityError } from "../errors.ts";
import { openDirectoryBeneath } from "../sys/open-beneath.ts";
import { errnoOf } from "./failure.ts";

/** For looking up names, not for reading; Node has no constant for it. */
export const O_PATH = 0o10000000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A path of what is open as `fd`, in this thread. */
export function procPath(fd: number): string {
  // Not /proc/self: a thread may have files of its own.
  return `/proc/thread-self/fd/${fd}`;
}

/** Names are ours, or were read from a directory: any other is a mistake in this program. */
export function requireBelow(name: string): void {
  if (name !== "" && /(?:^|\/)\.{0,2}(?:\/|$)/.test(name)) {
    throw new TypeError(`name below a directory: got ${JSON.stringify(name)}`);
  }
}

/**
 * A descriptor of the directory `name` below `base`, for looking up names; `pathOf` is what the user
 * calls a name.
 *
 * @throws {@link IntegrityError} `WRONG_TYPE` when something else than a directory is on the way;
 *   what the system says
 */
export function lookUp(base: number, name: string, pathOf: (name: string) => string): number {
  requireBelow(name);
  const found = openDirectoryBeneath(base, name);
  if (found !== undefined) return found;
  // This also finds out which component is wrong.
  let fd = base;
  let done = "";
  for (const component of name.split("/")) {
    const path = `${procPath(fd)}/${component}`;
    done = done === "" ? component : `${done}/${component}`;
    try {
      const next = openSync(path, FLAGS);
      if (fd !== base) closeSync(fd);
      fd = next;
    } catch (error) {
      const problem = notDirectory(error, path, pathOf(done));
      if (fd !== base) closeSync(fd);
      throw problem;
    }
  }
  return fd;
}

function notDirectory(error: unknown, path: string, known: string): unknown {
  if (errnoOf(error) !== "ENOTDIR") return retold(error, path, known);
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  const got = isLink ? "a symbolic link" : "something else";
  return new IntegrityError("WRONG_TYPE", `${known}: expected a directory, got ${got}`, {
    hint: isLink
      ? "no links are followed here: to have it elsewhere, mount it there (mount --bind)"
      : undefined,
  });
}

/** An error of Node's, whose message names the path that the user knows. */
export function retold(error: unknown, path: string, known: string): unknown {
  if (error instanceof Error && "path" in error) {
    error.message = error.message.replaceAll(path, known);
  }
  return error;
}
