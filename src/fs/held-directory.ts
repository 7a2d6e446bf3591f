/**
 * A directory that is held open, and everything below it. Names are looked up from its descriptor
 * on and through no symbolic links, so nobody who can rename, link or replace things in it or above
 * it leads an operation out of it.
 *
 * A name is a path below the directory, without empty, `.` or `..` components; `""` is the
 * directory itself. The directories on the way are opened as directories and not through links: in
 * one call where openat2(2) can be had, else one by one. The last component is handed to the kernel
 * as `/proc/thread-self/fd/N/NAME`, in system calls that do not follow it. This needs no more than Node
 * and /proc.
 *
 * Spec: docs/store.md, "Trust"; openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`; proc(5),
 * `/proc/pid/fd`.
 *
 * @module
 */
import {
  type Stats,
  chmodSync,
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
import { NotFoundError, SystemError } from "../errors.ts";
import { openBeneath } from "../sys/open-beneath.ts";
import { emptyDirectory } from "./empty-directory.ts";
import { errnoOf, failure } from "./failure.ts";
import { O_PATH, lookUp, procPath, requireBelow, retold } from "./lookup.ts";
import {
  type OpenFile,
  openRegular,
  readRegular,
  requireRegular,
  wrongTypeOf,
} from "./regular-file.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const PERMISSIONS = 0o7777;

/** Closes what was never closed, once nobody refers to it any more. */
const abandoned = new FinalizationRegistry<number>((fd) => closeSync(fd));

/** A directory that is open in this process; plain data, so that it can be sent to threads. */
export interface SharedDirectory {
  readonly path: string;
  readonly fd: number;
}

export class HeldDirectory {
  /** As its opener named it: for messages, and for tools that are told where it is. */
  readonly path: string;
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * A directory that another thread of this process, or other code, holds open; it is not closed
   * here.
   */
  static shared({ path, fd }: SharedDirectory): HeldDirectory {
    return new HeldDirectory(path, fd);
  }

  static #own(path: string, fd: number): HeldDirectory {
    const directory = new HeldDirectory(path, fd);
    abandoned.register(directory, fd, directory);
    return directory;
  }

  /**
   * Opens the directory that the user named, through links if there are any.
   *
   * @throws what the system says; {@link SystemError} `IO` where /proc is not mounted
   */
  static open(path: string): HeldDirectory {
    const fd = openSync(path, O_PATH | O_DIRECTORY);
    if (existsSync(procPath(fd))) return HeldDirectory.#own(path, fd);
    closeSync(fd);
    throw new SystemError("IO", `${path}: /proc is needed to look up names safely`, {
      hint: "mount it: mount -t proc proc /proc",
    });
  }

  /** For other threads of this process, as long as this is open. */
  share(): SharedDirectory {
    return { path: this.path, fd: this.#fd };
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
    return HeldDirectory.#own(
      this.pathOf(name),
      lookUp(this.#fd, name, (part) => this.pathOf(part)),
    );
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
    return this.inside(parent, (directory) => use(`${directory}/${last === "" ? "." : last}`));
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

  /**
   * The sorted names in a directory; none when it is not there.
   *
   * @throws {@link SystemError} when it cannot be read; {@link IntegrityError} `WRONG_TYPE`
   */
  names(name = ""): string[] {
    try {
      return this.inside(name, (directory) => readdirSync(directory).sort());
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw failure(this.pathOf(name), error);
    }
  }

  /**
   * The same for many names in one directory, which is looked up once; undefined for each that is not
   * there.
   */
  stats(directory: string, names: readonly string[]): (Stats | undefined)[] {
    return this.inside(directory, (path) =>
      names.map((name) => {
        requireBelow(name);
        return lstatSync(`${path}/${name}`, { throwIfNoEntry: false });
      }),
    );
  }

  /** The target of a symbolic link. */
  readLink(name: string): string {
    return this.at(name, (path) => readlinkSync(path));
  }

  /**
   * Opens a regular file, with `flags` of open(2). It neither follows a link nor waits for the
   * other end of a fifo.
   *
   * @throws {@link IntegrityError} `WRONG_TYPE`; what the system says
   */
  open(name: string, flags: number, mode?: number): number {
    const what = this.pathOf(name);
    return this.at(name, (path) => {
      try {
        const fd = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, mode);
        requireRegular(fd, what);
        return fd;
      } catch (error) {
        throw wrongTypeOf(error, what) ?? error;
      }
    });
  }

  /** Opens a regular file for reading, as `openRegular` of regular-file.ts. */
  openRegular(name: string, what: string): OpenFile {
    requireBelow(name);
    return openBeneath(this.#fd, name) ?? this.#reading(name, what, openRegular);
  }

  /** Reads a regular file of at most `maxBytes`, as `readRegular` of regular-file.ts. */
  readRegular(name: string, maxBytes: number, what = this.pathOf(name)): Uint8Array {
    return this.#reading(name, what, (path) => readRegular(path, maxBytes, what));
  }

  #reading<T>(name: string, what: string, read: (path: string, what: string) => T): T {
    try {
      return this.at(name, (path) => read(path, what));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw failure(what, error);
      throw new NotFoundError("NO_FILE", `${what}: not there`, { cause: error });
    }
  }

  /** A descriptor of a directory that can be read and handed to the kernel. */
  openDirectory(name: string): number {
    return this.at(name, openDirectory);
  }

  /**
   * Makes a file that must not exist, with exactly this mode whatever the umask; open for writing.
   */
  newFile(name: string, mode: number): number {
    const fd = this.at(name, (path) => openSync(path, O_WRONLY | O_CREAT | O_EXCL, mode));
    if ((process.umask() & mode) !== 0) fchmodSync(fd, mode);
    return fd;
  }

  /** Makes a directory that must not exist, with exactly this mode whatever the umask. */
  newDirectory(name: string, mode: number): void {
    this.at(name, (path) => mkdirSync(path, mode));
    if ((process.umask() & mode) === 0) return;
    // The umask may have taken the right to read it.
    const fd = this.at(name, (path) => openSync(path, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    try {
      chmodSync(procPath(fd), mode);
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
      this.inside(name, () => undefined); // what is there is a directory
    }
  }

  symlink(target: string, name: string): void {
    this.at(name, (path) => symlinkSync(target, path));
  }

  /** Replaces what stands under `to`, of another directory if given, as rename(2) does. */
  rename(from: string, to: string, directory: HeldDirectory = this): void {
    this.at(from, (source) => directory.at(to, (target) => renameSync(source, target)));
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

  /** Removes whatever stands under a name, a directory with all that it holds. */
  removeTree(name: string): void {
    const stat = this.stat(name);
    if (stat === undefined) return;
    if (!stat.isDirectory()) {
      this.unlink(name);
      return;
    }
    this.inside(name, emptyDirectory);
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

  /**
   * Calls `use` with a path of the directory `name` that is good during the call.
   *
   * @throws as {@link at}
   */
  inside<T>(name: string, use: (directory: string) => T): T {
    const fd = name === "" ? this.#fd : lookUp(this.#fd, name, (part) => this.pathOf(part));
    const directory = procPath(fd);
    try {
      return use(directory);
    } catch (error) {
      throw retold(error, directory, this.pathOf(name));
    } finally {
      if (name !== "") closeSync(fd);
    }
  }
}

function openDirectory(path: string): number {
  return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}
