/**
 * Locks on open files: flock(2), which belongs to the open file and ends with it, so that a dead
 * process holds none. Node has no such call: the util-linux command `flock` takes the lock on a
 * descriptor it inherits, and the lock stays with the open file after the command has ended.
 *
 * @module
 */
import { spawnSync } from "node:child_process";

/** What became of a try: `unavailable` when this machine cannot lock files. */
export type LockResult = "locked" | "busy" | "unavailable";

/**
 * Tries to take a lock on the file open as `fd`, or to change its kind, waiting at most
 * `timeoutMs`.
 */
export function flock(fd: number, kind: "shared" | "exclusive", timeoutMs = 0): LockResult {
  const wait = timeoutMs > 0 ? ["-w", (timeoutMs / 1000).toFixed(3)] : ["-n"];
  const run = spawnSync("flock", [kind === "shared" ? "-s" : "-x", ...wait, "3"], {
    stdio: ["ignore", "ignore", "ignore", fd],
  });
  if (run.status === 0) return "locked";
  return run.status === 1 ? "busy" : "unavailable"; // other statuses: a usage or system error
}
