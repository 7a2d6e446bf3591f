/**
 * Reading from a descriptor without waiting, and waiting for it: read(2) with O_NONBLOCK, poll(2).
 *
 * @module
 */
import { constants as files } from "node:fs";
import { constants } from "node:os";
import { lazy, loadLibc } from "./koffi.ts";

const F_GETFL = 3;
const F_SETFL = 4;
const POLLIN = 1;
const FOREVER = -1;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    fcntl: libc.func<[number, number, number]>("int fcntl(int fd, int op, int arg)"),
    read: libc.func<[number, Uint8Array, number]>("intptr_t read(int fd, void *to, size_t length)"),
    poll: libc.func<[Uint8Array, number, number]>(
      "int poll(void *descriptors, unsigned long count, int milliseconds)",
    ),
    errno: () => libc.errno(),
  };
});

// `struct pollfd`: the descriptor, then what is waited for, in memory that C may point to.
const descriptor = new Int32Array(new ArrayBuffer(8));
const descriptorBytes = new Uint8Array(descriptor.buffer);

/**
 * Has reads of `fd` return at once; of all descriptors that share it.
 *
 * @throws {@link SystemError} `NO_KOFFI`
 */
export function setNonBlocking(fd: number): void {
  const { fcntl } = calls();
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | files.O_NONBLOCK);
}

/** Bytes that were read, or a negated error number: of EAGAIN when there is nothing yet. */
export function readNow(fd: number, to: Uint8Array): number {
  const { read, errno } = calls();
  const length = read(fd, to, to.length);
  return length < 0 ? -errno() : length;
}

/** Waits until there is something to be read, or a signal comes. */
export function waitReadable(fd: number): void {
  descriptor[0] = fd;
  descriptor[1] = POLLIN;
  calls().poll(descriptorBytes, 1, FOREVER);
}

export const { EAGAIN } = constants.errno;
