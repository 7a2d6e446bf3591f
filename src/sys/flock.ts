/**
 * Locks on open files: flock(2), which belongs to the open file and ends with it, so that a dead
 * process holds none. Node has no such call. Without koffi the util-linux command `flock` takes
 * the lock on a descriptor it inherits: the lock stays with the open file after the command has
 * ended.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { errnoError, errnoName, hasLibc, lazy, loadLibc } from "./koffi.ts";

/** What became of a try: `unavailable` when this machine or file system cannot lock files. */
export type LockResult = "locked" | "busy" | "unavailable";
export type LockKind = "shared" | "exclusive";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const RETRY_MS = 20;
/** What file systems without locks say. */
const CANNOT_LOCK = new Set(["ENOSYS", "EOPNOTSUPP", "ENOTSUP", "ENOLCK", "EINVAL"]);

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    flock: libc.func<[number, number]>("int flock(int fd, int operation)"),
    errno: () => libc.errno(),
  };
});

/**
 * Tries to take a lock on the file open as `fd`, or to change its kind, waiting at most
 * `timeoutMs`.
 *
 * @throws {@link SystemError} when the system fails otherwise than by having no locks
 */
export function flock(fd: number, kind: LockKind, timeoutMs = 0): LockResult {
  return hasLibc() ? callFlock(fd, kind, timeoutMs) : runFlock(fd, kind, timeoutMs);
}

function callFlock(fd: number, kind: LockKind, timeoutMs: number): LockResult {
  const operation = (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB;
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (calls().flock(fd, operation) === 0) return "locked";
    const errno = calls().errno();
    const name = errnoName(errno);
    if (name === "EINTR") continue;
    if (CANNOT_LOCK.has(name)) return "unavailable";
    // A caller that went on after any other error would work without a lock that others rely on.
    if (name !== "EAGAIN" && name !== "EWOULDBLOCK") throw errnoError(errno, "flock");
    if (performance.now() >= end) return "busy";
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
  }
}

/** The way without koffi. */
function runFlock(fd: number, kind: LockKind, timeoutMs = 0): LockResult {
  const wait = timeoutMs > 0 ? ["-w", (timeoutMs / 1000).toFixed(3)] : ["-n"];
  const run = spawnSync("flock", [kind === "shared" ? "-s" : "-x", ...wait, "3"], {
    stdio: ["ignore", "ignore", "ignore", fd],
  });
  if (run.status === 0) return "locked";
  return run.status === 1 ? "busy" : "unavailable"; // other statuses: a usage or system error
}
