/**
 * Ending a mount from outside.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NotFoundError, SystemError, UsageError } from "../errors.ts";
import { unmountAny } from "./table/end-mount.ts";
import { isSealfs, mountAt, readMounts } from "./table/mountinfo.ts";
import { type MountState, isServer, readState, removeState } from "./table/run-state.ts";
import { mountPoint } from "./table/target.ts";

/** How to unmount. */
export interface UnmountImageOptions {
  /** Take it away now, also while it is in use: open files keep working until they are closed. */
  readonly lazy?: boolean;
}

/** What is left of a mount. */
export interface Unmounted {
  /** The server process, when it goes on: something still uses the mount, or a copy of it. */
  readonly server?: number;
}

/** After this long without an end, the server is told to end its connection. */
const PATIENCE_MS = 200;
const LAST_MS = 3000;
/** A server that may go on with good reason has so long to end. */
const MAY_GO_ON_MS = 500;
/** How long a mount that is in use may go on to be so. */
const BUSY_MS = 500;
const STEP_MS = 5;

/**
 * Unmounts what sealfs has mounted on `directory`, also when its server is dead, and waits for the
 * server's end.
 *
 * @throws {@link NotFoundError} `NO_FILE` when nothing is mounted there; {@link UsageError} when that
 *   is not a mount of sealfs; {@link SystemError} `BUSY` when it is in use, `PERMISSION`
 */
export async function unmountImage(
  directory: string,
  options: UnmountImageOptions = {},
): Promise<Unmounted> {
  const target = mountPoint(directory);
  const mount = mountAt(target);
  if (mount === undefined) {
    throw new NotFoundError("NO_FILE", `umount ${target}: nothing is mounted there`);
  }
  if (!isSealfs(mount)) {
    throw new UsageError("USAGE", `umount ${target}: ${mount.type} is not a mount of sealfs`);
  }
  const state = readState(mount.device);
  try {
    await unmountSoon(target, options);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "BUSY") throw error;
    const inside = readMounts().findLast((each) => each.target.startsWith(`${target}/`));
    throw new SystemError("BUSY", error.message, {
      cause: error,
      hint:
        inside === undefined
          ? "some process has its working directory or an open file there; --lazy unmounts all the same"
          : `${inside.type} is mounted inside of it, on ${inside.target}: unmount that first; --lazy unmounts both`,
    });
  }
  if (state === undefined || state.target !== target) return {};
  await endOf(state, options);
  if (isServer(state)) return { server: state.pid };
  removeState(mount.device, state.pid);
  return {};
}

/** What was closed a moment ago may still count as open. */
async function unmountSoon(target: string, options: UnmountImageOptions): Promise<void> {
  for (let waited = 0; ; waited += STEP_MS) {
    try {
      unmountAny(target, options);
      return;
    } catch (error) {
      const busy = error instanceof SystemError && error.code === "BUSY";
      if (!busy || waited >= BUSY_MS) throw error;
      await sleep(STEP_MS);
    }
  }
}

/** Waits for the end of a server whose mount has ended; not for long where it may have to go on. */
async function endOf(state: MountState, { lazy = false }: UnmountImageOptions): Promise<void> {
  // A copy of the mount in another mount namespace keeps the server. What the kernel serves alone
  // cannot be ended from here, and as long as it lives its objects have to be kept.
  const mayGoOn = lazy || state.mode === "kernel";
  let told = false;
  for (let waited = 0; waited < (mayGoOn ? MAY_GO_ON_MS : LAST_MS); waited += STEP_MS) {
    if (!isServer(state)) return;
    if (!told && !mayGoOn && waited >= PATIENCE_MS) {
      process.kill(state.pid, "SIGTERM"); // the connection has to be aborted
      told = true;
    }
    await sleep(STEP_MS);
  }
}
