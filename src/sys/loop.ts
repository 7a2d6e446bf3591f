/**
 * Loop devices: a file as a block device (loop(4)). Read-only, and gone by themselves when the last
 * user has closed them.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { raw, struct, u32, u64 } from "../bytes/struct.ts";
import { SystemError } from "../errors.ts";
import { errnoError, errnoName, lazy, loadLibc } from "./koffi.ts";

const LOOP_CONFIGURE = 0x4c0a; // Linux 5.8
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** Another process may take a free device before us. */
const TRIES = 64;

/** `struct loop_config` with its `struct loop_info64`. */
const LoopConfig = struct("loop_config", 304, {
  fd: u32,
  blockSize: u32, // 0: the kernel's choice
  device: u64,
  inode: u64,
  rdevice: u64,
  offset: u64,
  sizeLimit: u64, // 0: the whole file
  number: u32,
  encryptType: u32,
  encryptKeySize: u32,
  flags: u32,
  fileName: raw(64),
  cryptName: raw(64),
  encryptKey: raw(32),
  init: raw(16),
  reserved: raw(64),
});

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    control: libc.func<[number, number, number]>(
      "int ioctl(int fd, unsigned long request, long argument)",
    ),
    configure: libc.func<[number, number, Uint8Array]>(
      "int ioctl(int fd, unsigned long request, const void *argument)",
    ),
    errno: () => libc.errno(),
  };
});

/** A loop device; while it is open or mounted it exists. */
export interface LoopDevice {
  /** Such as `/dev/loop0`. */
  readonly path: string;
  /** The open device, the caller's to close. */
  readonly fd: number;
}

/**
 * Makes a read-only loop device of the file open as `file`.
 *
 * @throws {@link SystemError} `NO_KOFFI`, `PERMISSION`, or what the kernel says; {@link NotFoundError}
 *   when it has no loop devices
 */
export function openLoop(file: number, name: string): LoopDevice {
  const control = openDevice("/dev/loop-control");
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const number = calls().control(control, LOOP_CTL_GET_FREE, 0);
      if (number < 0) throw errnoError(calls().errno(), "free loop device");
      const path = `/dev/loop${number}`;
      const fd = openDevice(path);
      if (configure(fd, file, name, path)) return { path, fd };
      closeSync(fd);
    }
  } finally {
    closeSync(control);
  }
  throw new SystemError("BUSY", `loop device: all taken by others, ${TRIES} times`);
}

/** False when another process was quicker. */
function configure(fd: number, file: number, name: string, path: string): boolean {
  const fileName = new Uint8Array(64);
  fileName.set(Buffer.from(name).subarray(0, 63)); // only for losetup's list
  const zero = { device: 0n, inode: 0n, rdevice: 0n, offset: 0n, sizeLimit: 0n };
  const config = LoopConfig.encode({
    ...zero,
    fd: file,
    blockSize: 0,
    number: 0,
    encryptType: 0,
    encryptKeySize: 0,
    flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
    fileName,
    cryptName: new Uint8Array(64),
    encryptKey: new Uint8Array(32),
    init: new Uint8Array(16),
    reserved: new Uint8Array(64),
  });
  if (calls().configure(fd, LOOP_CONFIGURE, config) === 0) return true;
  const errno = calls().errno();
  if (errnoName(errno) === "EBUSY") return false;
  closeSync(fd);
  throw errnoError(errno, `configure ${path}`);
}

function openDevice(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw errnoError(-((error as NodeJS.ErrnoException).errno ?? -5), path);
  }
}
