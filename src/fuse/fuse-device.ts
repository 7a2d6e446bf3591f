/**
 * The kernel's end of FUSE.
 *
 * @module
 */
import { openSync } from "node:fs";
import { SystemError } from "../errors.ts";

const DEVICE = "/dev/fuse";

/**
 * Opens /dev/fuse.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel has no FUSE here, `PERMISSION`
 */
export function openDevice(): number {
  try {
    return openSync(DEVICE, "r+");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new SystemError("PERMISSION", `${DEVICE}: ${message}`, {
        cause,
        hint: "run as root; for ordinary users, chmod 0666 /dev/fuse and install fuse3",
      });
    }
    throw new SystemError("NO_FUSE", `${DEVICE}: ${message}`, {
      cause,
      hint: "load the kernel module with: modprobe fuse; in a container, pass --device /dev/fuse",
    });
  }
}
