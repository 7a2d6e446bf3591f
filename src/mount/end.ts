/**
 * Ending a mount, whoever does it: the server on a signal, its guard after its death, or
 * `sealfs umount`.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { type UnmountOptions, unmountAsUser, unmountTarget } from "../sys/mount.ts";
import { mountAt } from "./mountinfo.ts";
import { statePath } from "./state.ts";

/** Unmounts as root, or through fusermount3 as an ordinary user. */
export function unmountAny(target: string, options: UnmountOptions = {}): void {
  try {
    unmountTarget(target, options);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "PERMISSION") throw error;
    unmountAsUser(target, options);
  }
}

/**
 * Takes a mount out of the tree and ends its connection, also while it is in use. Other mounts at
 * the same place are left alone. Returns false when the connection may live on, because the mount is
 * not there (another mount namespace may hold a copy) and the kernel's abort file is not either.
 */
export function endConnection(target: string, device: string): boolean {
  try {
    if (mountAt(target)?.device === device) {
      unmountAny(target, { lazy: true, force: true });
      return true;
    }
  } catch {
    // the connection can still be aborted
  }
  try {
    const minor = device.slice(device.indexOf(":") + 1);
    writeFileSync(`/sys/fs/fuse/connections/${minor}/abort`, "1");
    return true;
  } catch {
    return false;
  }
}

/** Waits at the other end of a pipe: on a word it leaves, on the end of the pipe it cleans up. */
const GUARD = `
read -r word
[ "$word" = done ] && exit 0
grep -q "^[0-9]* [0-9]* $2 " /proc/self/mountinfo &&
  { umount -i -l -- "$1" || fusermount3 -u -z -- "$1" || fusermount -u -z -- "$1"; } 2>/dev/null
rm -f -- "$3"
`;

/** A small process that removes the dead mount should its server be killed. */
export interface Guard {
  /** The mount has ended well: nothing to clean up. */
  dismiss(): void;
}

/** Starts the guard of a mount that this process serves. */
export function startGuard(target: string, device: string): Guard {
  const args = ["-c", GUARD, "sealfs-guard", target, device, statePath(device, "json")];
  const guard = spawn("/bin/sh", args, {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined); // no shell: a dead mount stays until somebody removes it
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return { dismiss: () => guard.stdin.end("done\n") };
}
