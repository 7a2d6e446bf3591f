/**
 * Ending a mount from outside.
 *
 * @module
 */
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NotFoundError, SystemError, UsageError } from "../errors.ts";
import { unmountAny } from "./end.ts";
import { isSealfs, mountAt } from "./mountinfo.ts";
import { type MountState, readState, removeState } from "./state.ts";

/** How to unmount. */
export interface UnmountImageOptions {
  /** Take it away now, also while it is in use: open files keep working until they are closed. */
  readonly lazy?: boolean;
}

/** After this long without an end, the server is told to end its connection. */
const PATIENCE_MS = 200;
const LAST_MS = 3000;
const STEP_MS = 5;

/**
 * Unmounts what sealfs has mounted on `directory`, also when its server is dead, and waits for the
 * server's end.
 *
 * @throws {@link NotFoundError} `NO_FILE` when nothing is mounted there; {@link UsageError} when that
 *   is no mount of sealfs; {@link SystemError} `BUSY` when it is in use, `PERMISSION`
 */
export async function unmountImage(
  directory: string,
  options: UnmountImageOptions = {},
): Promise<void> {
  const target = realTarget(directory);
  const mount = mountAt(target);
  if (mount === undefined) {
    throw new NotFoundError("NO_FILE", `umount ${target}: nothing is mounted there`);
  }
  if (!isSealfs(mount)) {
    throw new UsageError("USAGE", `umount ${target}: ${mount.type} is no mount of sealfs`);
  }
  const state = readState(mount.device);
  try {
    unmountAny(target, options);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "BUSY") throw error;
    throw new SystemError("BUSY", error.message, {
      cause: error,
      hint: "some process has its working directory or an open file there; --lazy unmounts all the same",
    });
  }
  if (state === undefined || state.target !== target) return;
  if (options.lazy !== true) await endOf(state);
  if (!isServer(state.pid, target)) removeState(mount.device);
}

/** The mount point as the list of mounts names it; a dead mount cannot be asked for its real path. */
function realTarget(directory: string): string {
  const path = resolve(directory);
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

/** Waits for the end of a server whose mount is gone. */
async function endOf({ pid, target }: MountState): Promise<void> {
  let told = false;
  for (let waited = 0; waited < LAST_MS && isServer(pid, target); waited += STEP_MS) {
    if (!told && waited >= PATIENCE_MS) {
      // Another mount namespace holds a copy of the mount: the connection has to be aborted.
      process.kill(pid, "SIGTERM");
      told = true;
    }
    await sleep(STEP_MS);
  }
}

/** Whether the process is still the server: not gone, no zombie, and no other that got its number. */
function isServer(pid: number, target: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(JSON.stringify(target));
  } catch {
    return false;
  }
}
