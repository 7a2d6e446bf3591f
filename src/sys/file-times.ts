/**
 * Times of an open file, to the nanosecond (futimens(2)); Node's own call rounds them.
 *
 * @module
 */
import { i64, struct } from "../bytes/struct.ts";
import { errnoError, lazy, loadLibc } from "./koffi.ts";

/** Nanoseconds since 1970. */
export interface FileTimes {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

/** Two of `struct timespec`, as 64-bit Linux has it. */
const Times = struct("timespec[2]", 32, {
  atimeSeconds: i64,
  atimeNanoseconds: i64,
  mtimeSeconds: i64,
  mtimeNanoseconds: i64,
});
const NANO = 1_000_000_000n;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    futimens: libc.func<[number, Uint8Array]>("int futimens(int fd, const void *times)"),
    errno: () => libc.errno(),
  };
});

/** @throws {@link SystemError} `NO_KOFFI`, or what the kernel says */
export function setFileTimes(fd: number, { atimeNs, mtimeNs }: FileTimes): void {
  const [atimeSeconds, atimeNanoseconds] = timespec(atimeNs);
  const [mtimeSeconds, mtimeNanoseconds] = timespec(mtimeNs);
  const times = Times.encode({ atimeSeconds, atimeNanoseconds, mtimeSeconds, mtimeNanoseconds });
  const { futimens, errno } = calls();
  if (futimens(fd, times) !== 0) throw errnoError(errno(), "set times");
}

/** Seconds, which may be negative, and nanoseconds, which are not. */
function timespec(ns: bigint): [bigint, bigint] {
  const nanoseconds = ((ns % NANO) + NANO) % NANO;
  return [(ns - nanoseconds) / NANO, nanoseconds];
}
