/**
 * The part of the package fuse-native (2.2.6) that is used; it ships no types.
 *
 * @module
 */

/** `struct stat`; times in milliseconds. */
export interface FuseStat {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly ino: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

/** `struct statvfs`; what is missing is 0. */
export interface FuseStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly files: number;
  readonly namemax: number;
}

/** An xattr's value: fuse-native first has it copied, then answers with its length. */
export interface XattrValue {
  readonly length: number;
  copy(room: Uint8Array): void;
}

/** Handlers; a negative first value of an answer is a negated errno. */
export interface FuseOperations {
  getattr(path: string, answer: (error: number, stat?: FuseStat) => void): void;
  readdir(
    path: string,
    answer: (error: number, names?: string[], stats?: FuseStat[]) => void,
  ): void;
  readlink(path: string, answer: (error: number, target?: string) => void): void;
  open(path: string, flags: number, answer: (error: number, handle?: number) => void): void;
  /** The answer is the number of bytes. */
  read(
    path: string,
    handle: number,
    out: Uint8Array,
    length: number,
    offset: number,
    answer: (bytes: number) => void,
  ): void;
  release(path: string, handle: number, answer: (error: number) => void): void;
  statfs(path: string, answer: (error: number, stat?: FuseStatfs) => void): void;
  getxattr(
    path: string,
    name: string,
    position: number,
    answer: (error: number, value?: XattrValue) => void,
  ): void;
  listxattr(path: string, answer: (error: number, names?: string[]) => void): void;
}

/** The class that the package exports. */
export interface FuseNative {
  new (
    target: string,
    operations: FuseOperations,
    options: Record<string, string | number | boolean>,
  ): { mount(done: (error: Error | null) => void): void };
}
