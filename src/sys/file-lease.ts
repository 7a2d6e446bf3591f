/**
 * Read leases of files (fcntl(2), "Leases"): while one is held, nobody has the file open for
 * writing or mapped writable, and a process that wants to has to wait until it is given up.
 *
 * The kernel tells its holder by SIGIO, which ends a process that does not listen to it.
 *
 * @module
 */
import { lazy, loadLibc } from "./koffi.ts";

const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;
const F_UNLCK = 2;

const calls = lazy(() => ({
  fcntl: loadLibc().func<[number, number, number]>("int fcntl(int fd, int op, int arg)"),
}));

/**
 * Takes a lease on the file open for reading as `fd`. False where that is not possible: somebody
 * may write to it, it belongs to another user, or the file system has no leases.
 */
export function takeLease(fd: number): boolean {
  return calls().fcntl(fd, F_SETLEASE, F_RDLCK) === 0;
}

/** Whether the lease is still held, and nobody waits for its end. */
export function holdsLease(fd: number): boolean {
  return calls().fcntl(fd, F_GETLEASE, 0) === F_RDLCK;
}

/** Gives the lease up, which lets writers go on. */
export function dropLease(fd: number): void {
  calls().fcntl(fd, F_SETLEASE, F_UNLCK);
}
