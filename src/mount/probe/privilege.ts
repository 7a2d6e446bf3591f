/**
 * Tries whether this process may mount.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { SystemError } from "../../errors.ts";
import { newMount } from "../../sys/fsmount.ts";
import { hasLibc } from "../../sys/koffi.ts";

/**
 * Makes a file system in memory that is attached nowhere.
 *
 * @throws {@link SystemError} `PERMISSION`, `NO_KOFFI`, or what the kernel says
 */
export function probePrivilege(): string | void {
  // Nothing can be tried without koffi, but mount(8) may be enough for FUSE.
  if (!hasLibc() && process.geteuid?.() === 0) return "root";
  try {
    closeSync(newMount("tmpfs", 0, () => undefined));
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "PERMISSION") throw error;
    throw new SystemError("PERMISSION", "only root may mount (CAP_SYS_ADMIN)", { cause: error });
  }
}
