/**
 * syncfs(2): everything written to a file system so far is on the disk when it returns. Node has
 * no such call. Without koffi `sync -f` of coreutils makes it, and reports its errors.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { errnoError, hasLibc, lazy, loadLibc } from "./koffi.ts";

const calls = lazy(() => {
  const libc = loadLibc();
  return { syncfs: libc.func<[number]>("int syncfs(int fd)"), errno: () => libc.errno() };
});

/**
 * A file system whose writes are to be waited for. The kernel tells each open descriptor of a
 * write that failed after the descriptor was opened, once: so it is opened before the first write,
 * and nobody else's sync can take the news away. (`sync -f` opens its own, and may miss a failure
 * that another program has already been told of.)
 */
export class FileSystemSync {
  readonly #what: string;
  #fd: number;

  /** Takes over `fd`, any directory of the file system; messages name it `what`. */
  constructor(fd: number, what: string) {
    this.#what = what;
    this.#fd = fd;
  }

  /**
   * Waits until all that was written to the file system so far is on the disk. A failure means
   * that some of it may be lost, and a second try would not say so: the caller must throw its work
   * away.
   *
   * @throws {@link SystemError} `IO` or `NO_SPACE` when the system could not write
   */
  sync(): void {
    if (!hasLibc()) return runSync(this.#fd, this.#what);
    const { syncfs, errno } = calls();
    if (syncfs(this.#fd) !== 0) throw errnoError(errno(), `syncfs ${this.#what}`);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** The way without koffi. */
function runSync(fd: number, what: string): void {
  const run = spawnSync("sync", ["-f", "--", "/proc/self/fd/3"], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe", fd],
  });
  if (run.status === 0) return;
  const reason = run.error?.message ?? run.stderr.trim();
  throw new SystemError("IO", `sync -f ${what}: ${reason}`);
}
