/**
 * A table of open files of a thread's own (unshare(2), CLONE_FILES).
 *
 * @module
 */
import { errnoError, lazy, loadLibc } from "./koffi.ts";

const CLONE_FILES = 0x400;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    unshare: libc.func<[number]>("int unshare(int flags)"),
    errno: () => libc.errno(),
  };
});

/**
 * What this thread opens from now on is its own, and what other threads open or close is theirs. The
 * event loop of the main thread would not survive that, because the threads that work for it share its
 * files; it is for a thread of its own that does one thing. `/proc/thread-self/fd` leads to its files.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says
 */
export function unshareFiles(): void {
  if (calls().unshare(CLONE_FILES) !== 0) throw errnoError(calls().errno(), "unshare");
}
