/**
 * Backing files of FUSE passthrough: the kernel reads such a file itself wherever a FUSE server says
 * so in its answer to OPEN (Linux kernel documentation, `fuse-passthrough.rst`; Linux 6.9).
 *
 * @module
 */
import { i32, struct, u32, u64 } from "../bytes/struct.ts";
import { SystemError } from "../errors.ts";
import { errnoError, errnoName, lazy, loadLibc } from "./koffi.ts";

const FUSE_DEV_IOC_BACKING_OPEN = 0x4010e501;
const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004e502;

const BackingMap = struct("fuse_backing_map", 16, { fd: i32, flags: u32, padding: u64 });

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    ioctl: libc.func<[number, number, Uint8Array]>(
      "int ioctl(int fd, unsigned long request, const void *argument)",
    ),
    errno: () => libc.errno(),
  };
});

/**
 * Makes the file open as `file` a backing file of the FUSE connection `device`; returns its number
 * there, to be ended with {@link closeBacking}. The kernel holds the file by itself.
 *
 * @throws {@link SystemError} `NO_PASSTHROUGH`: not root, a kernel without it, or a file on a file
 *   system that is itself stacked too high
 */
export function openBacking(device: number, file: number): number {
  const map = BackingMap.encode({ fd: file, flags: 0, padding: 0n });
  const id = calls().ioctl(device, FUSE_DEV_IOC_BACKING_OPEN, map);
  if (id > 0) return id;
  const name = errnoName(calls().errno());
  const why: Readonly<Record<string, string>> = {
    EPERM: "only root may (CAP_SYS_ADMIN)",
    ELOOP: "the objects lie on a file system that is stacked on others",
    ENOTTY: "the kernel has none",
  };
  const reason = why[name] === undefined ? name : `${why[name]} (${name})`;
  throw new SystemError("NO_PASSTHROUGH", `FUSE passthrough: ${reason}`);
}

/** Ends a backing file's number; open files go on. */
export function closeBacking(device: number, id: number): void {
  const argument = new Uint8Array(4);
  new DataView(argument.buffer).setInt32(0, id, true);
  if (calls().ioctl(device, FUSE_DEV_IOC_BACKING_CLOSE, argument) === 0) return;
  throw errnoError(calls().errno(), `backing file ${id}`);
}
