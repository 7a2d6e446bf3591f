/**
 * Mounts that show owners as other users (mount_setattr(2), "ID-mapped mounts"; Linux 5.12, and later
 * for each file system).
 *
 * @module
 */
import { spawn } from "node:child_process";
import { openSync, readlinkSync, writeFileSync } from "node:fs";
import { struct, u64 } from "../bytes/struct.ts";
import { SystemError } from "../errors.ts";
import { errnoName, lazy, loadLibc } from "./koffi.ts";

const NR_MOUNT_SETATTR = 442; // the same on every architecture
const AT_EMPTY_PATH = 0x1000;
const MOUNT_ATTR_IDMAP = 0x100000n;

const MountAttr = struct("mount_attr", 32, {
  set: u64,
  clear: u64,
  propagation: u64,
  userNamespace: u64,
});

/** Ids from `inside` on, as the file system has them, appear as those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** What {@link openIdNamespace} makes a user namespace of. */
export interface IdMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    mountSetattr: libc.func<[number, number, Uint8Array, number, Uint8Array, number]>(
      "long syscall(long number, int fd, const void *path, unsigned int flags, const void *attr, size_t size)",
    ),
    errno: () => libc.errno(),
  };
});

const WAIT_MS = 5000;
const STEP_MS = 1;

/**
 * A descriptor of a user namespace with this mapping, the caller's to close. A process of its own makes
 * it, and is ended at once: one with threads, as this one, cannot make any.
 *
 * @throws {@link SystemError} `NO_IDMAP` when the system makes no such namespace
 */
export function openIdNamespace({ uids, gids }: IdMap): number {
  const child = spawn("unshare", ["--user", "--", "sleep", "10"], { stdio: "ignore" });
  let problem = "unshare: not there (util-linux)";
  child.on("error", () => undefined);
  try {
    if (child.pid === undefined) throw new Error(problem);
    const own = readlinkSync("/proc/self/ns/user");
    const namespace = `/proc/${child.pid}/ns/user`;
    problem = "unshare: not allowed";
    for (let waited = 0; readlinkSync(namespace) === own; waited += STEP_MS) {
      if (waited >= WAIT_MS) throw new Error(problem);
      pause();
    }
    writeFileSync(`/proc/${child.pid}/uid_map`, uids.map(mapLine).join(""));
    writeFileSync(`/proc/${child.pid}/gid_map`, gids.map(mapLine).join(""));
    return openSync(namespace, "r");
  } catch (cause) {
    // A process that has ended has no namespace any more.
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? problem : message;
    throw new SystemError("NO_IDMAP", `user namespace for other owners: ${reason}`, { cause });
  } finally {
    child.kill("SIGKILL");
    child.unref();
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STEP_MS);
}

const mapLine = ({ inside, outside, count }: IdRange) => `${inside} ${outside} ${count}\n`;

/**
 * Makes a mount that is attached nowhere show owners as the user namespace maps them.
 *
 * @throws {@link SystemError} `NO_IDMAP` when kernel or file system do not let
 */
export function mapOwners(mount: number, userNamespace: number): void {
  const attributes = MountAttr.encode({
    set: MOUNT_ATTR_IDMAP,
    clear: 0n,
    propagation: 0n,
    userNamespace: BigInt(userNamespace),
  });
  const { mountSetattr, errno } = calls();
  const empty = Buffer.from("\0");
  const { length } = attributes;
  if (mountSetattr(NR_MOUNT_SETATTR, mount, empty, AT_EMPTY_PATH, attributes, length) === 0) return;
  const name = errnoName(errno());
  throw new SystemError("NO_IDMAP", `owners shown as other users: ${name}`, {
    hint:
      name === "EINVAL"
        ? "the kernel cannot do it for this file system: EROFS needs Linux 5.19, FUSE 6.12"
        : "only root may",
  });
}
