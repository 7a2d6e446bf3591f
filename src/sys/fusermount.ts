/**
 * FUSE mounts for ordinary users: fusermount3, which is set-user-id root, mounts and sends the open
 * /dev/fuse back through a socket (libfuse `util/fusermount.c`; recvmsg(2), cmsg(3)). Node can
 * neither make such a socket pair nor receive a descriptor that is no socket.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { i32, struct, u32, u64 } from "../bytes/struct.ts";
import { SystemError } from "../errors.ts";
import { addressOf, errnoError, lazy, loadLibc } from "./koffi.ts";
import type { FuseMount } from "./mount-calls.ts";
import { rightsOptions } from "./mount-rights.ts";
import { socketPair } from "./socket-pair.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const NAMES = ["fusermount3", "fusermount"];

/** `struct msghdr` and `struct iovec` of 64-bit machines. */
const MessageHeader = struct("msghdr", 56, {
  name: u64,
  nameLength: u64,
  vectors: u64,
  vectorCount: u64,
  control: u64,
  controlLength: u64,
  flags: u64,
});
const Vector = struct("iovec", 16, { base: u64, length: u64 });
const ControlHeader = struct("cmsghdr", 16, { length: u64, level: i32, type: i32 });
const Rights = struct("int[1]", 8, { fd: i32, padding: u32 });

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    recvmsg: libc.func<[number, Uint8Array, number]>(
      "intptr_t recvmsg(int fd, void *message, int flags)",
    ),
    errno: () => libc.errno(),
  };
});

/**
 * Where the helper is.
 *
 * @throws {@link SystemError} `NO_FUSERMOUNT` when it is not installed
 */
export function findFusermount(): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/bin"];
  for (const name of NAMES) {
    for (const folder of folders) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // look in the next folder
      }
    }
  }
  throw new SystemError("NO_FUSERMOUNT", "fusermount3: not installed", {
    hint: "install the Debian package fuse3",
  });
}

/**
 * Mounts a FUSE file system by the helper, and returns the open /dev/fuse in which the kernel's INIT
 * request waits. The caller closes it.
 *
 * @throws {@link SystemError} `NO_KOFFI`, `NO_FUSERMOUNT`; `NO_FUSE` with the helper's words when it
 *   refuses
 */
export function mountByHelper(mount: Omit<FuseMount, "fd">): number {
  const helper = findFusermount();
  const [ours, theirs] = socketPair();
  try {
    const type = mount.type.replace(/^fuse\./, "");
    const options = [
      "ro",
      ...rightsOptions(mount),
      `fsname=${escapeOption(mount.source)}`,
      `subtype=${escapeOption(type)}`,
      ...mount.options,
    ];
    const run = spawnSync(helper, ["-o", options.join(","), "--", mount.target], {
      stdio: ["ignore", "ignore", "pipe", theirs],
      env: { ...process.env, LC_ALL: "C", _FUSE_COMMFD: "3" },
    });
    if (run.status !== 0) throw refused(run.error?.message ?? run.stderr.toString().trim());
    return receiveDescriptor(ours);
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

/** The helper reads a backslash as: the next character is nothing special. */
function escapeOption(text: string): string {
  return text.replace(/[\\,]/g, "\\$&");
}

function refused(words: string): SystemError {
  const hint = /user_allow_other/.test(words)
    ? "add user_allow_other to /etc/fuse.conf, or use --no-allow-other"
    : "fusermount3 needs /dev/fuse readable and writable for this user, and a mount point that belongs to this user";
  return new SystemError("NO_FUSE", words, { hint });
}

function receiveDescriptor(socket: number): number {
  // Each in memory of its own, which stays where it is while the kernel writes to it.
  const data = Buffer.allocUnsafeSlow(1);
  const vector = Buffer.allocUnsafeSlow(Vector.size);
  const control = Buffer.allocUnsafeSlow(ControlHeader.size + Rights.size).fill(0);
  const message = Buffer.allocUnsafeSlow(MessageHeader.size);
  Vector.encodeInto(vector, 0, { base: addressOf(data), length: 1n });
  MessageHeader.encodeInto(message, 0, {
    name: 0n,
    nameLength: 0n,
    vectors: addressOf(vector),
    vectorCount: 1n,
    control: addressOf(control),
    controlLength: BigInt(control.length),
    flags: 0n,
  });
  const got = calls().recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) throw errnoError(calls().errno(), "fusermount3: no descriptor");
  const { level, type, length } = ControlHeader.decode(control);
  const isRights = level === SOL_SOCKET && type === SCM_RIGHTS;
  if (isRights && length === BigInt(ControlHeader.size + 4)) {
    return Rights.decode(control, ControlHeader.size).fd;
  }
  throw new SystemError("IO", "fusermount3: expected a descriptor, got none");
}
