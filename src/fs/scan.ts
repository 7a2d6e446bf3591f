/**
 * Scans a directory into a tree: metadata and names as raw bytes; what becomes of a file's content
 * is its caller's business.
 *
 * Spec: docs/image-format.md, "Directory mode".
 *
 * @module
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { type ByteString, printable, toBytes } from "../bytes/bytestring.ts";
import { isShown } from "../erofs/overlay-xattrs.ts";
import { FormatError, IntegrityError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readXattrs } from "../sys/xattr.ts";
import {
  type Directory,
  HardLink,
  Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  isDirectory,
} from "../tree/inode.ts";

/** What a scan takes from the file system. */
export interface ScanOptions {
  /**
   * All extended attributes that this process may see (default), those that an image can show (no
   * `btrfs.compression`, `system.nfs4_acl` and the like, which are of the file system there), those of
   * users, or none.
   */
  readonly xattrs?: "all" | "shown" | "user" | "none";
  /** Whether block and character devices are taken; true by default. */
  readonly devices?: boolean;
  /** Whether the names of one inode stay its names; false makes a file of each. True by default. */
  readonly hardLinks?: boolean;
  /** Sets all times to zero. */
  readonly epoch?: boolean;
}

/** A regular file with content; its inode's `size` is set. */
export interface ScannedFile {
  readonly inode: Inode;
  /** Where it lies, as bytes. */
  readonly path: ByteString;
  /**
   * Reads the whole content, in chunks that are only valid during the call.
   *
   * @throws {@link IntegrityError} `SIZE_MISMATCH` when the file changed since it was seen
   */
  readonly read: (write: (chunk: Uint8Array) => void) => void;
  /** Hands the open file to `use`; throws as {@link read} does. */
  readonly open: <T>(use: (fd: number) => T) => T;
}

const CHUNK = 1 << 20;
const NANO = 1_000_000_000n;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const USER = "user.";

/**
 * The tree below the directory `path`. `onFile` is called for each regular file that is not empty, in
 * the order of the walk: depth first, names in byte order.
 *
 * @throws {@link FormatError} `MALFORMED` when `path` is no directory; {@link SystemError} `NO_KOFFI`
 *   when attributes are asked for and cannot be read; what the system says otherwise
 */
export function scanDirectory(
  path: ByteString,
  options: ScanOptions,
  onFile: (file: ScannedFile) => void,
): Directory {
  const scan = new Scan(options, onFile);
  const root = scan.inode(path, lstat(path));
  if (!isDirectory(root)) {
    throw new FormatError("MALFORMED", `${printable(path)}: expected a directory`);
  }
  // A stack of its own: a tree may be deeper than the call stack.
  const pending: { directory: Directory; path: ByteString }[] = [{ directory: root, path }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const below = scan.directory(next.directory, next.path);
    for (let i = below.length - 1; i >= 0; i--) pending.push(below[i]!);
  }
  return root;
}

class Scan {
  readonly #options: ScanOptions;
  readonly #onFile: (file: ScannedFile) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);
  /** Files with several names, by device and inode number. */
  readonly #linked = new Map<string, Inode>();
  #count = 1;

  constructor(options: ScanOptions, onFile: (file: ScannedFile) => void) {
    this.#options = options;
    this.#onFile = onFile;
  }

  /** Fills a directory and returns the directories in it. */
  directory(directory: Directory, path: ByteString) {
    const below: { directory: Directory; path: ByteString }[] = [];
    for (const name of namesIn(path)) {
      const childPath = `${path}/${name}` as ByteString;
      const stat = lstat(childPath);
      const type = Number(stat.mode) & S_IFMT;
      if (this.#options.devices === false && (type === S_IFCHR || type === S_IFBLK)) continue;
      this.#count += 1;
      if (this.#count > limits.inodes) {
        const message = `${printable(path)}: expected at most ${limits.inodes} files in all, got more`;
        throw new FormatError("LIMIT", message);
      }
      const entry = this.#entry(childPath, stat);
      directory.entries.set(name, entry);
      if (isDirectory(entry)) below.push({ directory: entry, path: childPath });
    }
    return below;
  }

  #entry(path: ByteString, stat: BigIntStats): Inode | HardLink {
    const several = this.#options.hardLinks !== false && stat.nlink > 1n && !stat.isDirectory();
    if (!several) return this.inode(path, stat);
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#linked.get(key);
    if (first !== undefined) {
      first.nlink += 1; // links from outside the tree do not count
      return new HardLink(first);
    }
    const inode = this.inode(path, stat);
    this.#linked.set(key, inode);
    return inode;
  }

  /** The inode of a file, with its content handed to `onFile`. */
  inode(path: ByteString, stat: BigIntStats): Inode {
    const inode = new Inode(Number(stat.mode));
    const type = inode.mode & S_IFMT;
    inode.uid = Number(stat.uid);
    inode.gid = Number(stat.gid);
    if (this.#options.epoch !== true) {
      const nanoseconds = ((stat.mtimeNs % NANO) + NANO) % NANO;
      inode.mtimeNanoseconds = Number(nanoseconds);
      inode.mtimeSeconds = (stat.mtimeNs - nanoseconds) / NANO;
    }
    if (type === S_IFCHR || type === S_IFBLK) inode.rdev = Number(stat.rdev & 0xffffffffn);
    if (type === S_IFLNK) {
      inode.target = readlinkSync(systemPath(path), "latin1") as ByteString;
      inode.size = BigInt(inode.target.length);
    } else if (type !== S_IFDIR) {
      inode.size = stat.size;
    }
    this.#readXattrs(inode, path);
    if (type === S_IFREG && stat.size > 0n) {
      this.#onFile({
        inode,
        path,
        read: (write) => withFile(path, stat, (fd) => this.#read(fd, path, stat, write)),
        open: (use) => withFile(path, stat, use),
      });
    }
    return inode;
  }

  #readXattrs(inode: Inode, path: ByteString): void {
    const { xattrs = "all" } = this.#options;
    if (xattrs === "none") return;
    const all = readXattrs(path);
    if (all.size === 0) return;
    const isTaken = xattrs === "user" ? (key: string) => key.startsWith(USER) : isShown;
    inode.xattrs = xattrs === "all" ? all : new Map([...all].filter(([key]) => isTaken(key)));
  }

  #read(fd: number, path: ByteString, seen: BigIntStats, write: (chunk: Uint8Array) => void) {
    let left = Number(seen.size);
    while (left > 0) {
      const got = readSync(fd, this.#buffer, 0, Math.min(CHUNK, left), null);
      if (got === 0) throw changed(path);
      write(this.#buffer.subarray(0, got));
      left -= got;
    }
  }
}

/** Opens a file that was seen, and makes sure that it is still the same before and after. */
function withFile<T>(path: ByteString, seen: BigIntStats, use: (fd: number) => T): T {
  const fd = openSync(systemPath(path), OPEN_FLAGS);
  try {
    if (!isSame(fstatSync(fd, { bigint: true }), seen)) throw changed(path);
    const result = use(fd);
    if (!isSame(fstatSync(fd, { bigint: true }), seen)) throw changed(path);
    return result;
  } finally {
    closeSync(fd);
  }
}

/** A path for Node's functions: a Buffer keeps its bytes. */
function systemPath(path: ByteString): Buffer {
  return Buffer.from(toBytes(path));
}

function lstat(path: ByteString): BigIntStats {
  return lstatSync(systemPath(path), { bigint: true });
}

function namesIn(path: ByteString): ByteString[] {
  return (readdirSync(systemPath(path), { encoding: "latin1" }) as ByteString[]).sort();
}

/** Whether nothing was written or replaced in between; times are as fine as the kernel keeps them. */
function isSame(stat: BigIntStats, seen: BigIntStats): boolean {
  return (
    stat.ino === seen.ino &&
    stat.dev === seen.dev &&
    stat.size === seen.size &&
    stat.ctimeNs === seen.ctimeNs
  );
}

function changed(path: ByteString): IntegrityError {
  return new IntegrityError("SIZE_MISMATCH", `${printable(path)}: it changed while it was read`);
}
