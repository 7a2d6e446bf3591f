/**
 * /dev/fuse, through which the kernel speaks FUSE.
 *
 * @module
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { SystemError } from "../errors.ts";

const DEVICE = "/dev/fuse";
/** Major and minor number, which are the same everywhere. */
const NUMBER = (10 << 8) | 229;
const HOW_TO_GET_IT =
  "load the kernel module with: modprobe fuse; in a container, pass --device /dev/fuse";

/**
 * Opens /dev/fuse.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel has no FUSE here, `PERMISSION`
 */
export function openDevFuse(): number {
  let fd: number;
  try {
    fd = openSync(DEVICE, "r+");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new SystemError("PERMISSION", `${DEVICE}: ${message}`, {
        cause,
        hint: "run as root; for ordinary users, chmod 0666 /dev/fuse and install fuse3",
      });
    }
    throw new SystemError("NO_FUSE", `${DEVICE}: ${message}`, { cause, hint: HOW_TO_GET_IT });
  }
  if (isDevFuse(fd)) return fd;
  closeSync(fd); // as containers have it that hide devices
  throw new SystemError("NO_FUSE", `${DEVICE}: is not the FUSE device`, { hint: HOW_TO_GET_IT });
}

/** Whether an open descriptor is of /dev/fuse. */
export function isDevFuse(fd: number): boolean {
  const status = fstatSync(fd);
  return status.isCharacterDevice() && status.rdev === NUMBER;
}
