/**
 * The inodes of an image on their way into it: a table with a column per property. The inodes of
 * the tree lie scattered in memory; looking at each of them once, and then only at columns, halves
 * the time.
 *
 * @module
 */
import { type Inode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import { doubled } from "./writer-columns.ts";
import type { Listing } from "./writer-entries.ts";
import type { XattrSet } from "./writer-xattr-set.ts";

/** A whiteout of the tree: it becomes an ordinary file with attributes. */
export const WHITEOUT = 1;
/** A directory with a whiteout among its children. */
export const HAS_WHITEOUT = 2;
/** A regular file whose data is an object outside the image. */
export const EXTERNAL = 4;
/** The attributes of the object are this node's alone, and not among its `xattrs`. */
export const OWNS_OBJECT = 8;
/** The inode takes 64 bytes. */
export const EXTENDED = 16;

const FIRST_CAPACITY = 1024;

/** All inodes; a node is its number in the order. */
export class Nodes {
  /** Inodes of the tree, and the stubs; the writer never changes them. */
  readonly inodes: Inode[] = [];
  readonly xattrs: (XattrSet | undefined)[] = [];
  readonly listings: (Listing | undefined)[] = [];

  flags = new Uint8Array(FIRST_CAPACITY);
  parent = new Uint32Array(FIRST_CAPACITY);
  /**
   * Mode, link count and size as the image has them: for whiteouts and directories not the tree's.
   */
  mode = new Uint16Array(FIRST_CAPACITY);
  nlink = new Uint32Array(FIRST_CAPACITY);
  /** Bytes; above 2^53 only the inode has the exact value. */
  size = new Float64Array(FIRST_CAPACITY);
  uid = new Uint32Array(FIRST_CAPACITY);
  gid = new Uint32Array(FIRST_CAPACITY);
  /** Of devices; 0 elsewhere. */
  rdev = new Uint32Array(FIRST_CAPACITY);
  /** Seconds of the mtime; NaN when they do not fit and only the inode has them. */
  seconds = new Float64Array(FIRST_CAPACITY);
  nanoseconds = new Uint32Array(FIRST_CAPACITY);
  /** Of nodes that own an object: its row in the object table. */
  row = new Uint32Array(FIRST_CAPACITY);

  // Made by the layout. In bytes: xattr body, tail behind the inode; in blocks: data, where it
  // starts; in slots: where the inode starts; log2 of the chunk size.
  xattrSize = new Uint32Array(0);
  tail = new Uint32Array(0);
  blocks = new Uint32Array(0);
  firstBlock = new Uint32Array(0);
  nid = new Uint32Array(0);
  chunkBits = new Uint8Array(0);

  get count(): number {
    return this.inodes.length;
  }

  /** Adds an inode and returns its number. Stubs are no whiteouts. */
  add(inode: Inode, parent: number, stub: boolean): number {
    const node = this.inodes.length;
    if (node === this.mode.length) this.#grow();
    this.inodes.push(inode);
    this.xattrs.push(undefined);
    this.listings.push(undefined);
    const { mode } = inode;
    const type = mode & S_IFMT;
    this.parent[node] = parent;
    this.mode[node] = mode;
    this.nlink[node] = inode.nlink;
    this.uid[node] = inode.uid;
    this.gid[node] = inode.gid;
    const seconds = Number(inode.mtimeSeconds);
    this.seconds[node] = Number.isSafeInteger(seconds) ? seconds : NaN;
    this.nanoseconds[node] = inode.mtimeNanoseconds;
    if (type === S_IFREG) {
      const { content } = inode;
      if (content !== undefined && content.length > 0) this.size[node] = content.length;
      else if ((this.size[node] = Number(inode.size)) > 0) this.flags[node] = EXTERNAL;
    } else if (type === S_IFLNK) {
      this.size[node] = inode.target?.length ?? 0;
    } else if (type === S_IFDIR) {
      this.nlink[node] = 2;
    } else if (type === S_IFCHR && inode.rdev === 0 && !stub) {
      this.mode[node] = (mode & ~S_IFMT) | S_IFREG;
      this.flags[node] = WHITEOUT;
    } else {
      this.size[node] = Number(inode.size);
      if (type === S_IFCHR || type === S_IFBLK) this.rdev[node] = inode.rdev;
    }
    return node;
  }

  is(node: number, flag: number): boolean {
    return (this.flags[node]! & flag) !== 0;
  }

  /** Whether a node's mtime is before that of another one. */
  isOlder(node: number, other: number): boolean {
    const a = this.seconds[node]!;
    const b = this.seconds[other]!;
    if (a < b) return true;
    if (a > b) return false;
    const nanosecondsOlder = this.nanoseconds[node]! < this.nanoseconds[other]!;
    if (a === b) return nanosecondsOlder;
    const exact = this.inodes[node]!.mtimeSeconds;
    const otherExact = this.inodes[other]!.mtimeSeconds;
    return exact < otherExact || (exact === otherExact && nanosecondsOlder);
  }

  /** Whether two nodes have the same mtime. */
  isSameAge(node: number, other: number): boolean {
    if (this.nanoseconds[node] !== this.nanoseconds[other]) return false;
    if (this.seconds[node] === this.seconds[other]) return true;
    return this.inodes[node]!.mtimeSeconds === this.inodes[other]!.mtimeSeconds;
  }

  /** Makes room for what the layout computes. */
  makeLayoutColumns(): void {
    const { count } = this;
    this.xattrSize = new Uint32Array(count);
    this.tail = new Uint32Array(count);
    this.blocks = new Uint32Array(count);
    this.firstBlock = new Uint32Array(count);
    this.nid = new Uint32Array(count);
    this.chunkBits = new Uint8Array(count);
  }

  #grow(): void {
    this.flags = doubled(this.flags, Uint8Array);
    this.parent = doubled(this.parent, Uint32Array);
    this.mode = doubled(this.mode, Uint16Array);
    this.nlink = doubled(this.nlink, Uint32Array);
    this.size = doubled(this.size, Float64Array);
    this.uid = doubled(this.uid, Uint32Array);
    this.gid = doubled(this.gid, Uint32Array);
    this.rdev = doubled(this.rdev, Uint32Array);
    this.seconds = doubled(this.seconds, Float64Array);
    this.nanoseconds = doubled(this.nanoseconds, Uint32Array);
    this.row = doubled(this.row, Uint32Array);
  }
}
