/**
 * mount(2) and umount2(2): through koffi, or through the commands of util-linux.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { SystemError } from "../errors.ts";
import { MountAttribute, type MountRights, rightsBits, rightsOptions } from "./mount-rights.ts";
import { type Libc, errnoError, hasLibc, lazy, loadLibc } from "./koffi.ts";

const MNT_FORCE = 1;
const MNT_DETACH = 2;

const calls = lazy(() => {
  const libc: Libc = loadLibc();
  return {
    mount: libc.func<[Uint8Array, Uint8Array, Uint8Array, number, Uint8Array]>(
      "int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)",
    ),
    umount2: libc.func<[Uint8Array, number]>("int umount2(const void *target, int flags)"),
    errno: () => libc.errno(),
  };
});

/** A FUSE mount to be made; always read-only. */
export interface FuseMount extends MountRights {
  /** Open /dev/fuse. */
  readonly fd: number;
  /** What the list of mounts shows as the device. */
  readonly source: string;
  readonly target: string;
  /** `fuse.` and a name. */
  readonly type: string;
  /** FUSE's own options but `fd`, such as `default_permissions`. */
  readonly options: readonly string[];
}

/**
 * Mounts a FUSE file system. The kernel's INIT request waits in `fd` afterwards.
 *
 * @throws {@link SystemError} `PERMISSION` when this process may not mount, or what the kernel says
 */
export function mountFuse(mount: FuseMount): void {
  if (hasLibc()) {
    const { mount: call, errno } = calls();
    const data = [`fd=${mount.fd}`, ...mount.options].join(",");
    const flags = MountAttribute.READ_ONLY | rightsBits(mount);
    const { source, target, type } = mount;
    if (call(cString(source), cString(target), cString(type), flags, cString(data)) === 0) return;
    throw errnoError(errno(), `mount at ${target}`);
  }
  // -i: no helper program; the descriptor becomes number 3 of the command.
  const options = ["ro", ...rightsOptions(mount), "fd=3", ...mount.options].join(",");
  run("mount", ["-i", "-t", mount.type, "-o", options, "--", mount.source, mount.target], mount.fd);
}

/** How to end a mount. */
export interface UnmountOptions {
  /** Take it out of the tree now, also when it is in use. */
  readonly lazy?: boolean;
  /** End the FUSE connection: whatever waits for an answer fails. */
  readonly force?: boolean;
}

/**
 * Unmounts what is mounted on `target`.
 *
 * @throws {@link SystemError} `BUSY` when it is in use, `PERMISSION`, or what the kernel says
 */
export function unmountTarget(target: string, options: UnmountOptions = {}): void {
  if (hasLibc()) {
    const flags =
      (options.force === true ? MNT_FORCE : 0) | (options.lazy === true ? MNT_DETACH : 0);
    if (calls().umount2(cString(target), flags) === 0) return;
    throw errnoError(calls().errno(), `umount of ${target}`);
  }
  const flags = [
    ...(options.force === true ? ["-f"] : []),
    ...(options.lazy === true ? ["-l"] : []),
  ];
  run("umount", ["-i", ...flags, "--", target]);
}

/** Unmounts as an ordinary user, whose mounts fusermount3 (or fusermount) has made. */
export function unmountAsUser(target: string, options: UnmountOptions = {}): void {
  const flags = options.lazy === true ? ["-u", "-z"] : ["-u"];
  try {
    run("fusermount3", [...flags, "--", target]);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "NO_FUSE") throw error;
    run("fusermount", [...flags, "--", target]);
  }
}

function run(command: string, args: readonly string[], fd?: number): void {
  const stdio: (number | "ignore" | "pipe")[] = ["ignore", "ignore", "pipe"];
  if (fd !== undefined) stdio.push(fd);
  const result = spawnSync(command, args, { stdio, env: { ...process.env, LC_ALL: "C" } });
  if (result.error !== undefined) {
    throw new SystemError("NO_FUSE", `${command}: ${result.error.message}`, {
      cause: result.error,
      hint: `install ${command === "mount" || command === "umount" ? "util-linux" : "fuse3"}`,
    });
  }
  if (result.status === 0) return;
  const text = result.stderr.toString().trim();
  const code = /busy/i.test(text)
    ? "BUSY"
    : /permi|superuser|not allowed|privilege/i.test(text)
      ? "PERMISSION"
      : "IO";
  throw new SystemError(code, `${command}: ${text || `status ${result.status}`}`);
}

function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}
