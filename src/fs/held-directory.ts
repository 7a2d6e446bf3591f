/**
 * A directory that is held open, and everything below it. Names are looked up from its descriptor on and
 * through no symbolic links, so nobody who can rename, link or replace things in it or above it leads an
 * operation out of it.
 *
 * A name is a path below the directory, without empty, `.` or `..` components; `""` is the directory
 * itself. The directories on the way are opened as directories and not through links: in one call where
 * openat2(2) can be had, else one by one. The last component is handed to the kernel as
 * `/proc/self/fd/N/NAME`, in system calls that do not follow it. This needs no more than Node and /proc.
 *
 * Spec: docs/store.md, "Trust"; openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`; proc(5),
 * `/proc/pid/fd`.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import {
  type Stats,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { IntegrityError, SystemError } from "../errors.ts";
import { openDirectoryBeneath } from "../sys/open-beneath.ts";
import { errnoOf } from "./failure.ts";
import { type OpenFile, openRegular, requireRegular } from "./regular-file.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** For looking up names, not for reading; Node has no constant for it. */
const O_PATH = 0o10000000;
const PERMISSIONS = 0o7777;

/** Closes what was never closed, once nobody refers to it any more. */
const abandoned = new FinalizationRegistry<number>((fd) => closeSync(fd));

export class HeldDirectory {
  /** As its opener named it: for messages, and for tools that are told where it is. */
  readonly path: string;
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    abandoned.register(this, fd, this);
  }

  /**
   * Opens the directory that the user named, through links if there are any.
   *
   * @throws what the system says; {@link SystemError} `IO` where /proc is not mounted
   */
  static open(path: string): HeldDirectory {
    const fd = openSync(path, O_PATH | O_DIRECTORY);
    if (existsSync(procPath(fd))) return new HeldDirectory(path, fd);
    closeSync(fd);
    throw new SystemError("IO", `${path}: /proc is needed to look up names safely`, {
      hint: "mount it: mount -t proc proc /proc",
    });
  }

  /** Before nobody refers to it any more. */
  close(): void {
    if (this.#fd < 0) return;
    abandoned.unregister(this);
    closeSync(this.#fd);
    this.#fd = -1;
  }

  /** A directory below, held by itself. */
  below(name: string): HeldDirectory {
    return new HeldDirectory(this.pathOf(name), this.#openDirectory(name));
  }

  /** Where a name is, for messages. */
  pathOf(name: string): string {
    return name === "" ? this.path : `${this.path}/${name}`;
  }

  /**
   * Calls `use` with a path of `name` that is good during the call. The system calls in it must not
   * follow the last component: open(2) needs `O_NOFOLLOW`; chmod(2) and the like need a descriptor.
   *
   * @throws {@link IntegrityError} `WRONG_TYPE` when something else than a directory is on the way;
   *   what `use` throws, with the path as the user knows it
   */
  at<T>(name: string, use: (path: string) => T): T {
    requireBelow(name);
    const slash = name.lastIndexOf("/");
    const parent = name.slice(0, Math.max(0, slash));
    const last = name.slice(slash + 1);
    return this.#inside(parent, (directory) => use(`${directory}/${last === "" ? "." : last}`));
  }

  /** What stands under a name, links not followed; undefined when it is not there. */
  stat(name: string): Stats | undefined {
    try {
      return this.at(name, (path) => lstatSync(path));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The names in a directory, in no order. */
  names(name = ""): string[] {
    return this.#inside(name, (directory) => readdirSync(directory));
  }

  /** The target of a symbolic link. */
  readLink(name: string): string {
    return this.at(name, (path) => readlinkSync(path));
  }

  /**
   * Opens a regular file, with `flags` of open(2). It neither follows a link nor waits for the other end
   * of a fifo.
   *
   * @throws {@link IntegrityError} `WRONG_TYPE`; what the system says
   */
  open(name: string, flags: number, mode?: number): number {
    return this.at(name, (path) => {
      const fd = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, mode);
      requireRegular(fd, this.pathOf(name));
      return fd;
    });
  }

  /** Opens a regular file for reading, as {@link openRegular} does. */
  openRegular(name: string, what: string): OpenFile {
    return this.at(name, (path) => openRegular(path, what));
  }

  /** Makes a file that must not exist, with exactly this mode whatever the umask; open for writing. */
  newFile(name: string, mode: number): number {
    const fd = this.at(name, (path) => openSync(path, O_WRONLY | O_CREAT | O_EXCL, mode));
    if ((process.umask() & mode) !== 0) fchmodSync(fd, mode);
    return fd;
  }

  /** Makes a directory that must not exist, with exactly this mode whatever the umask. */
  newDirectory(name: string, mode: number): void {
    this.at(name, (path) => mkdirSync(path, mode));
    if ((process.umask() & mode) === 0) return;
    const fd = this.at(name, openDirectory);
    try {
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Makes a directory that may exist, with the permissions of the one that it is in unless told
   * otherwise: an owner lets a group write to a store once.
   */
  makeDirectory(name: string, mode?: number): void {
    const parent = name.slice(0, Math.max(0, name.lastIndexOf("/")));
    try {
      this.newDirectory(name, mode ?? (this.stat(parent)?.mode ?? 0) & PERMISSIONS);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      this.#inside(name, () => undefined); // what is there is a directory
    }
  }

  symlink(target: string, name: string): void {
    this.at(name, (path) => symlinkSync(target, path));
  }

  /** Replaces what stands under `to`, as rename(2) does. */
  rename(from: string, to: string): void {
    this.at(from, (source) => this.at(to, (target) => renameSync(source, target)));
  }

  link(from: string, to: string): void {
    this.at(from, (source) => this.at(to, (target) => linkSync(source, target)));
  }

  unlink(name: string): void {
    this.at(name, (path) => unlinkSync(path));
  }

  removeDirectory(name: string): void {
    this.at(name, (path) => rmdirSync(path));
  }

  /**
   * Removes whatever stands under a name, a directory with all that it holds. Directories inside move up
   * to the first one before they are emptied, so that no depth needs more than a few descriptors.
   */
  removeTree(name: string): void {
    const stat = this.stat(name);
    if (stat === undefined) return;
    if (!stat.isDirectory()) {
      this.unlink(name);
      return;
    }
    this.#inside(name, (top) => {
      const inner = emptyInto(top, top);
      for (const path of inner) {
        const fd = openDirectory(path);
        try {
          inner.push(...emptyInto(procPath(fd), top));
        } finally {
          closeSync(fd);
        }
        rmdirSync(path);
      }
    });
    this.removeDirectory(name);
  }

  /** Brings the content of a file, or the names in a directory, to the disk. */
  sync(name: string): void {
    const fd = this.at(name, (path) => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Calls `use` with a path of the directory `name`. */
  #inside<T>(name: string, use: (directory: string) => T): T {
    const fd = name === "" ? this.#fd : this.#openDirectory(name);
    const directory = procPath(fd);
    try {
      return use(directory);
    } catch (error) {
      throw retold(error, directory, this.pathOf(name));
    } finally {
      if (name !== "") closeSync(fd);
    }
  }

  /** A descriptor of a directory, for looking up names. */
  #openDirectory(name: string): number {
    requireBelow(name);
    const fd = openDirectoryBeneath(this.#fd, name);
    return fd ?? this.#walk(name);
  }

  /** One component after the other, which also finds out which of them is wrong. */
  #walk(name: string): number {
    let fd = this.#fd;
    let done = "";
    for (const component of name.split("/")) {
      const path = `${procPath(fd)}/${component}`;
      done = done === "" ? component : `${done}/${component}`;
      try {
        const next = openSync(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        if (fd !== this.#fd) closeSync(fd);
        fd = next;
      } catch (error) {
        const problem = this.#notDirectory(error, path, done);
        if (fd !== this.#fd) closeSync(fd);
        throw problem;
      }
    }
    return fd;
  }

  #notDirectory(error: unknown, path: string, name: string): unknown {
    const where = this.pathOf(name);
    if (errnoOf(error) !== "ENOTDIR") return retold(error, path, where);
    const got = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
      ? "a symbolic link"
      : "something else";
    return new IntegrityError("WRONG_TYPE", `${where}: expected a directory, got ${got}`);
  }
}

/** Names are ours, or were read from a directory: any other is a mistake in this program. */
function requireBelow(name: string): void {
  if (name !== "" && /(?:^|\/)\.{0,2}(?:\/|$)/.test(name)) {
    throw new TypeError(`name below a directory: got ${JSON.stringify(name)}`);
  }
}

function procPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function openDirectory(path: string): number {
  return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/**
 * Unlinks the files of a directory, and moves its directories to `top` under names that nobody else has;
 * returns their paths.
 */
function emptyInto(directory: string, top: string): string[] {
  const moved: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), entry.name]);
    if (!entry.isDirectory()) {
      unlinkSync(path);
      continue;
    }
    const to = `${top}/removed-${randomBytes(12).toString("hex")}`;
    renameSync(path, to);
    moved.push(to);
  }
  return moved;
}

/** An error of Node's, whose message names the path that the user knows. */
function retold(error: unknown, path: string, known: string): unknown {
  if (error instanceof Error && "path" in error) {
    error.message = error.message.replaceAll(path, known);
  }
  return error;
}
