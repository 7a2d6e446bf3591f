/**
 * The file tree that a build makes and the image writer takes: inodes with their metadata, names in
 * directories, and hard links as further names of an inode.
 *
 * Spec: docs/image-format.md, "The tree".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";

/** File type bits of `st_mode`. */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** The extended attributes of an inode, in insertion order. */
export type Xattrs = ReadonlyMap<ByteString, ByteString>;

/** No extended attributes. */
export const NO_XATTRS: Xattrs = new Map();

/**
 * One inode. `mode` holds type and permissions; fields that do not belong to the type are
 * undefined or zero. Sizes and seconds are 64 bit on disk, hence `bigint`.
 */
export class Inode {
  /** `st_mode`: type and permission bits. */
  mode: number;
  nlink = 1;
  uid = 0;
  gid = 0;
  /** Raw 32-bit device number (Linux `new_encode_dev`), for character and block devices. */
  rdev = 0;
  /** Bytes of a regular file; the writer computes it for directories and symlinks. */
  size = 0n;
  mtimeSeconds = 0n;
  mtimeNanoseconds = 0;
  /** Full key to value. Replaced as a whole, never changed: many inodes may share one map. */
  xattrs: Xattrs = NO_XATTRS;
  /** Directories: name to entry, in insertion order. */
  entries: Map<ByteString, Entry> | undefined = undefined;
  /** Symlinks: the target. */
  target: ByteString | undefined = undefined;
  /** Regular files: content held in the image itself. */
  content: Uint8Array | undefined = undefined;
  /** External regular files: the object's verity digest. */
  digest: VerityDigest | undefined = undefined;
  /** Where the object lies; undefined is where its digest says, "" is nowhere. */
  #payload: ByteString | undefined = undefined;

  constructor(mode: number) {
    this.mode = mode;
    if ((mode & S_IFMT) === S_IFDIR) this.entries = new Map();
  }

  /**
   * External regular files: where the object lies below `objects/`. Unless it is set, that is where
   * its digest says: `ab/cdef…`. Set to undefined, it is nowhere.
   */
  get payload(): ByteString | undefined {
    if (this.#payload !== undefined) return this.#payload === "" ? undefined : this.#payload;
    return this.digest === undefined ? undefined : ascii(objectPath(this.digest));
  }

  set payload(path: ByteString | undefined) {
    this.#payload = path ?? ascii("");
  }

  /** Whether there is an object, and it lies where its digest says. */
  get followsDigest(): boolean {
    if (this.digest === undefined) return false;
    return this.#payload === undefined || this.#payload === objectPath(this.digest);
  }
}

/** A further name of an inode that stands elsewhere in the tree. */
export class HardLink {
  readonly target: Inode;
  constructor(target: Inode) {
    this.target = target;
  }
}

/** What a name in a directory leads to. */
export type Entry = Inode | HardLink;

/** A directory: an inode with entries. */
export type Directory = Inode & { entries: Map<ByteString, Entry> };

export function isDirectory(entry: Entry): entry is Directory {
  return entry instanceof Inode && entry.entries !== undefined;
}

/** The inode that an entry leads to. */
export function inodeOf(entry: Entry): Inode {
  return entry instanceof HardLink ? entry.target : entry;
}

/** The type bits of an inode's mode. */
export function typeOf(inode: Inode): number {
  return inode.mode & S_IFMT;
}

/** A directory with mode `0755` owned by root, at the epoch. */
export function newDirectory(permissions = 0o755): Directory {
  return new Inode(S_IFDIR | permissions) as Directory;
}
