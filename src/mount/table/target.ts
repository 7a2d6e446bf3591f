/**
 * Where an image may be mounted: on an existing, empty directory that is not a symlink.
 *
 * @module
 */
import { readdirSync, realpathSync } from "node:fs";
import { requireUserDirectory } from "../../fs/user-directory.ts";
import { basename, dirname, join, resolve } from "node:path";
import { NotFoundError, SystemError, UsageError } from "../../errors.ts";
import { isSealfs, mountAt } from "./mountinfo.ts";

/**
 * The directory's absolute path without symlinks.
 *
 * @throws {@link NotFoundError} `NO_FILE`; {@link UsageError} when it is not a directory, a symlink, or
 *   not empty and that was not allowed; {@link SystemError} `BUSY` when a dead mount is there
 */
export function checkTarget(directory: string, options: { nonempty?: boolean } = {}): string {
  const path = resolve(directory);
  const what = `mount point ${path}`;
  try {
    requireUserDirectory(path, what);
    if (options.nonempty !== true) checkFree(path);
    if (options.nonempty !== true && readdirSync(path).length > 0) {
      throw new UsageError("USAGE", `${what}: expected an empty directory`, {
        hint: "--nonempty mounts over what is there",
      });
    }
    return realpathSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new NotFoundError("NO_FILE", `${what}: not there`, {
        hint: `make it with: mkdir ${path}`,
      });
    }
    if (code === "ENOTCONN") {
      throw new SystemError("BUSY", `${what}: a mount whose server has died is there`, {
        hint: `remove it with: sealfs umount ${path}`,
      });
    }
    if (code === "EACCES") throw new SystemError("PERMISSION", `${what}: ${message}`);
    throw error;
  }
}

/** An image is there already; it may be an empty one. */
function checkFree(path: string): void {
  const mount = mountAt(mountPoint(path));
  if (mount === undefined || !isSealfs(mount)) return;
  throw new SystemError("BUSY", `mount point ${path}: ${mount.source} is mounted there already`, {
    hint: `end that with: sealfs umount ${path}; --nonempty mounts over it`,
  });
}

/**
 * Makes sure that a mount on `target` hides nothing of what its server needs: the server would ask
 * itself for that, and wait forever. So `target` may not contain a needed path, nor lie inside of a
 * directory of which all is needed.
 *
 * @throws {@link UsageError} with the first of the paths that would be hidden, as a whole or in part
 */
export function checkHidesNothing(
  target: string,
  needed: readonly string[],
  whole: readonly string[] = [],
): void {
  for (const path of [...needed, ...whole]) {
    const real = realPath(resolve(path));
    const isInside = whole.includes(path) && isAtOrBelow(target, real) && target !== real;
    if (!isInside && !isAtOrBelow(real, target)) continue;
    const what = isInside ? `part of ${path}` : path;
    throw new UsageError(
      "USAGE",
      `mount point ${target}: would hide ${what}, which the mount needs`,
      {
        hint: isInside
          ? `mount it outside of ${path}`
          : "mount it elsewhere, or move that out of the way",
      },
    );
  }
}

/** Whether a path, without symlinks, is a directory or lies in it. */
export function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? directory : `${directory}/`);
}

/** The path without symlinks, as far as it exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === "/" ? path : join(realPath(dirname(path)), basename(path));
  }
}

/**
 * A mount point as the list of mounts names it. The mount itself is not asked: its server may be
 * dead, or not answer.
 */
export function mountPoint(directory: string): string {
  const path = resolve(directory);
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
