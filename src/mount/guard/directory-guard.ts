/**
 * Removes a temporary directory when the process that uses it is killed: a small process stands by.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { HeldDirectory } from "../../fs/held-directory.ts";

/** The input ends without a line when the process has been killed. */
const REMOVE = 'read -r _ || rm -rf -- "$1"';

/**
 * Removes a directory by its name in another when this process is killed before it has called the
 * returned function. The directory need not exist yet.
 */
export function guardDirectory(parent: HeldDirectory, name: string): () => void {
  const guard = spawn("/bin/sh", ["-c", REMOVE, "sealfs-guard", name], {
    detached: true, // keys that end the command do not end its guard
    cwd: `/proc/self/fd/${parent.share().fd}`,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined); // no shell: a dead command leaves its directory
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return () => {
    guard.stdin.write("done\n"); // a pipe takes that at once
    guard.stdin.destroy();
  };
}
