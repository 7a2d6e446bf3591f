/**
 * Mounts made step by step and held by descriptors: a file system is configured, created, and turned
 * into a mount that no path leads to, which may then serve as a layer or be attached somewhere
 * (fsopen(2), fsconfig(2), fsmount(2), move_mount(2); Linux 5.2).
 *
 * @module
 */
import { closeSync, constants, readSync } from "node:fs";
import { struct, u64 } from "../bytes/struct.ts";
import type { NotFoundError, SystemError } from "../errors.ts";
import { errnoError, lazy, loadLibc } from "./koffi.ts";

// The same numbers on every architecture (asm-generic/unistd.h).
const NR_OPEN_TREE = 428;
const NR_MOVE_MOUNT = 429;
const NR_FSOPEN = 430;
const NR_FSCONFIG = 431;
const NR_FSMOUNT = 432;
const NR_OPENAT2 = 437;

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const SET_FLAG = 0;
const SET_STRING = 1;
const SET_FD = 5;
const CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
/** Within one mount, beneath the directory, through no links of any kind. */
const RESOLVE_STRICTLY = 0x01n | 0x02n | 0x04n | 0x08n;

const OpenHow = struct("open_how", 24, { flags: u64, mode: u64, resolve: u64 });
const MESSAGE_BYTES = 4096;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    fsopen: libc.func<[number, Uint8Array, number]>(
      "long syscall(long number, const void *name, unsigned int flags)",
    ),
    fsconfig: libc.func<[number, number, number, Uint8Array | null, Uint8Array | null, number]>(
      "long syscall(long number, int fd, unsigned int cmd, const void *key, const void *value, int aux)",
    ),
    fsmount: libc.func<[number, number, number, number]>(
      "long syscall(long number, int fd, unsigned int flags, unsigned int attributes)",
    ),
    openTree: libc.func<[number, number, Uint8Array, number]>(
      "long syscall(long number, int fd, const void *path, unsigned int flags)",
    ),
    openat2: libc.func<[number, number, Uint8Array, Uint8Array, number]>(
      "long syscall(long number, int fd, const void *path, const void *how, size_t size)",
    ),
    moveMount: libc.func<[number, number, Uint8Array, number, Uint8Array, number]>(
      "long syscall(long number, int from, const void *path, int to, const void *target, unsigned int flags)",
    ),
    errno: () => libc.errno(),
  };
});

/** A file system that is being configured. */
export class FileSystemContext {
  readonly #type: string;
  #fd: number;

  /**
   * @throws {@link SystemError} `NO_KOFFI`; `PERMISSION`; `IO` when the kernel has no such file
   *   system or is older than Linux 5.2
   */
  constructor(type: string) {
    this.#type = type;
    this.#fd = calls().fsopen(NR_FSOPEN, cString(type), FSOPEN_CLOEXEC);
    if (this.#fd < 0) throw errnoError(calls().errno(), `file system ${type}`);
  }

  /** An option without a value, such as `ro`. */
  setFlag(key: string): this {
    return this.#configure(SET_FLAG, key, null, 0);
  }

  /** An option with a value of at most 255 bytes; a `,` in it is nothing special. */
  setString(key: string, value: string): this {
    return this.#configure(SET_STRING, key, value, 0);
  }

  /** An option that names an open file. */
  setDescriptor(key: string, fd: number): this {
    return this.#configure(SET_FD, key, null, fd);
  }

  /** Makes the file system, and a mount of it that is attached nowhere; the caller closes it. */
  mount(attributes: number): number {
    this.#configure(CMD_CREATE, null, null, 0);
    const fd = calls().fsmount(NR_FSMOUNT, this.#fd, FSMOUNT_CLOEXEC, attributes);
    if (fd < 0) throw this.#failed("mount");
    return fd;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #configure(command: number, key: string | null, value: string | null, aux: number): this {
    const keyBytes = key === null ? null : cString(key);
    const valueBytes = value === null ? null : cString(value);
    const { fsconfig } = calls();
    if (fsconfig(NR_FSCONFIG, this.#fd, command, keyBytes, valueBytes, aux) === 0) return this;
    throw this.#failed(key === null ? "create" : value === null ? key : `${key}=${value}`);
  }

  #failed(step: string): SystemError | NotFoundError {
    const error = errnoError(calls().errno(), `${this.#type}: ${step}`);
    const messages = this.#messages();
    if (messages.length > 0) error.message += ` (${messages.join("; ")})`;
    return error;
  }

  /** What the kernel has to say: one message per read. */
  #messages(): string[] {
    const messages: string[] = [];
    const bytes = Buffer.alloc(MESSAGE_BYTES);
    try {
      for (;;) {
        const length = readSync(this.#fd, bytes, 0, MESSAGE_BYTES, null);
        messages.push(
          bytes
            .toString("utf8", 0, length)
            .replace(/^[ewi] /, "")
            .trim(),
        );
      }
    } catch {
      return messages; // ENODATA: that was all
    }
  }
}

/**
 * Makes a mount of a new file system; `configure` gives the options. The caller closes it.
 *
 * @throws {@link SystemError} with the kernel's own words where it has some
 */
export function newMount(
  type: string,
  attributes: number,
  configure: (context: FileSystemContext) => void,
): number {
  const context = new FileSystemContext(type);
  try {
    configure(context);
    return context.mount(attributes);
  } finally {
    context.close();
  }
}

/**
 * Attaches a mount to a directory.
 *
 * @throws {@link SystemError} or {@link NotFoundError} what the kernel says
 */
export function attachMount(fd: number, target: string): void {
  const { moveMount, errno } = calls();
  const empty = cString("");
  const to = cString(target);
  if (moveMount(NR_MOVE_MOUNT, fd, empty, AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) !== 0) {
    throw errnoError(errno(), `mount at ${target}`);
  }
}

/**
 * A mount of one directory of a mount, attached nowhere; the caller closes it. `root` is a descriptor of
 * the mount's root, `path` leads from there through directories only.
 *
 * @throws {@link SystemError} or {@link NotFoundError} what the kernel says
 */
export function cloneDirectory(root: number, path: string): number {
  const { openat2, openTree, errno } = calls();
  const how = OpenHow.encode({
    flags: BigInt(constants.O_DIRECTORY | O_PATH | O_CLOEXEC),
    mode: 0n,
    resolve: RESOLVE_STRICTLY,
  });
  const directory = openat2(NR_OPENAT2, root, cString(path), how, OpenHow.size);
  if (directory < 0) throw errnoError(errno(), `directory ${path} of the mount`);
  try {
    const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH;
    const mount = openTree(NR_OPEN_TREE, directory, cString(""), flags);
    if (mount < 0) throw errnoError(errno(), `mount of the directory ${path}`);
    return mount;
  } finally {
    closeSync(directory);
  }
}

function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}
