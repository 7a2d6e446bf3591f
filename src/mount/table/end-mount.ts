/**
 * Ending a mount, whichever process does it: the server on a signal, its guard after its death, or
 * `sealfs umount`.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { SystemError } from "../../errors.ts";
import { type UnmountOptions, unmountAsUser, unmountTarget } from "../../sys/mount-calls.ts";
import { mountAt } from "./mountinfo.ts";

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
 * the same place are left alone. Returns false when the connection may live on, because the mount
 * is not there (another mount namespace may hold a copy) and the kernel's abort file is not either.
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
