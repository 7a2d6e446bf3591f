/**
 * The inodes of an image, read for speed: one record filled again and again, straight from the
 * image's bytes. The image has been verified before; an address outside of it throws all the same.
 *
 * Spec: docs/image-format.md, "Inodes".
 *
 * @module
 */
import {
  BLOCK_SIZE,
  FORMAT_EXTENDED,
  InodeCompact,
  InodeExtended,
  LAYOUT_FLAT_INLINE,
  SLOT_SIZE,
  SUPERBLOCK_OFFSET,
  Superblock,
  XattrIbodyHeader,
} from "../erofs/format.ts";
import { FormatError } from "../errors.ts";
import { S_IFBLK, S_IFCHR, S_IFMT } from "../tree/inode.ts";
import { Attr } from "./wire.ts";

const compact = InodeCompact.offsets;
const extended = InodeExtended.offsets;

/** One inode's fields, and where its data lies in the image. */
export class Attributes {
  nid = 0;
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  /** As the kernel encodes it in 32 bits. */
  rdev = 0;
  size = 0;
  /** The two halves of the 64-bit seconds: their sign matters only when they are joined. */
  mtimeLow = 0;
  mtimeHigh = 0;
  mtimeNanoseconds = 0;
  xattrIcount = 0;
  layout = 0;
  /** First data block of directories, symlinks and inline files. */
  dataBlock = 0;
  /** Byte offset of the tail: the data behind inode and xattrs. */
  tailAt = 0;
}

/** Reads inodes of one image. */
export class InodeTable {
  readonly bytes: Uint8Array;
  // Array elements, not a DataView: the first thousand requests of a mount run uncompiled, and a
  // DataView costs ten times as much there. Image and FUSE are little endian, and so is Node's every
  // platform with /dev/fuse that this runs on.
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  /** Compact inodes have the image's own time. */
  readonly #mtimeLow: number;
  readonly #mtimeHigh: number;
  readonly #mtimeNanoseconds: number;

  constructor(image: Uint8Array) {
    const bytes = image.byteOffset % 4 === 0 ? image : image.slice();
    this.bytes = bytes;
    this.halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    const { buildTime, buildTimeNsec } = Superblock.decode(bytes, SUPERBLOCK_OFFSET);
    this.#mtimeLow = Number(BigInt.asUintN(32, buildTime));
    this.#mtimeHigh = Number(BigInt.asUintN(32, buildTime >> 32n));
    this.#mtimeNanoseconds = buildTimeNsec;
  }

  /**
   * Fills `out` with the inode `nid` and returns it.
   *
   * @throws {@link FormatError} `OUT_OF_RANGE` when no inode fits there
   */
  read(nid: number, out: Attributes): Attributes {
    const { halves, words } = this;
    const at = nid * SLOT_SIZE;
    if (at + InodeExtended.size > this.bytes.length) {
      throw new FormatError("OUT_OF_RANGE", `nid ${nid}: beyond the end of the image`);
    }
    const half = at >> 1;
    const word = at >> 2;
    const format = halves[half]!;
    const mode = halves[half + MODE]!;
    const type = mode & S_IFMT;
    const u = words[word + U]!;
    const icount = halves[half + XATTR_ICOUNT]!;
    out.nid = nid;
    out.layout = (format >> 1) & 7;
    out.xattrIcount = icount;
    out.mode = mode;
    out.dataBlock = u;
    out.rdev = type === S_IFCHR || type === S_IFBLK ? u : 0;
    let body = at + InodeExtended.size;
    if ((format & FORMAT_EXTENDED) === 0) {
      body = at + InodeCompact.size;
      out.size = words[word + COMPACT_SIZE]!;
      out.nlink = halves[half + COMPACT_NLINK]!;
      out.uid = halves[half + COMPACT_UID]!;
      out.gid = halves[half + COMPACT_GID]!;
      out.mtimeLow = this.#mtimeLow;
      out.mtimeHigh = this.#mtimeHigh;
      out.mtimeNanoseconds = this.#mtimeNanoseconds;
    } else {
      out.size = words[word + SIZE]! + words[word + SIZE + 1]! * 0x1_0000_0000;
      out.nlink = words[word + NLINK]!;
      out.uid = words[word + UID]!;
      out.gid = words[word + GID]!;
      out.mtimeLow = words[word + MTIME]!;
      out.mtimeHigh = words[word + MTIME + 1]!;
      out.mtimeNanoseconds = words[word + MTIME_NSEC]!;
    }
    out.tailAt = icount === 0 ? body : body + XattrIbodyHeader.size + (icount - 1) * 4;
    return out;
  }

  /** Where the block `index` of the data of a directory or inline file starts. */
  blockAt(inode: Attributes, index: number): number {
    const inTail =
      inode.layout === LAYOUT_FLAT_INLINE && index >= Math.floor(inode.size / BLOCK_SIZE);
    return inTail ? inode.tailAt : (inode.dataBlock + index) * BLOCK_SIZE;
  }
}

// Positions in an inode, in 2-byte and 4-byte elements.
const MODE = compact.mode >> 1;
const XATTR_ICOUNT = compact.xattrIcount >> 1;
const COMPACT_NLINK = compact.nlink >> 1;
const COMPACT_UID = compact.uid >> 1;
const COMPACT_GID = compact.gid >> 1;
const COMPACT_SIZE = compact.size >> 2;
const U = compact.u >> 2; // the same in both layouts
const SIZE = extended.size >> 2;
const NLINK = extended.nlink >> 2;
const UID = extended.uid >> 2;
const GID = extended.gid >> 2;
const MTIME = extended.mtime >> 2;
const MTIME_NSEC = extended.mtimeNsec >> 2;

// Positions in `struct fuse_attr`, in 4-byte elements.
const attr = {
  ino: Attr.offsets.ino >> 2,
  size: Attr.offsets.size >> 2,
  blocks: Attr.offsets.blocks >> 2,
  atime: Attr.offsets.atime >> 2,
  mtime: Attr.offsets.mtime >> 2,
  ctime: Attr.offsets.ctime >> 2,
  atimensec: Attr.offsets.atimensec >> 2,
  mtimensec: Attr.offsets.mtimensec >> 2,
  ctimensec: Attr.offsets.ctimensec >> 2,
  mode: Attr.offsets.mode >> 2,
  nlink: Attr.offsets.nlink >> 2,
  uid: Attr.offsets.uid >> 2,
  gid: Attr.offsets.gid >> 2,
  rdev: Attr.offsets.rdev >> 2,
  blksize: Attr.offsets.blksize >> 2,
  flags: Attr.offsets.flags >> 2,
};
/** Bytes of what `st_blocks` counts. */
export const SECTOR_BYTES = 512;

/**
 * Writes `struct fuse_attr` of an inode, at a position in 4-byte elements. The inode number is the
 * nid, as the kernel's EROFS has it.
 */
export function packAttributes(words: Uint32Array, at: number, inode: Attributes): void {
  const { size, mtimeLow, mtimeHigh, mtimeNanoseconds } = inode;
  const blocks = Math.ceil(size / SECTOR_BYTES);
  words[at + attr.ino] = inode.nid;
  words[at + attr.ino + 1] = 0;
  words[at + attr.size] = size; // elements take a value modulo 2^32
  words[at + attr.size + 1] = size / 0x1_0000_0000;
  words[at + attr.blocks] = blocks;
  words[at + attr.blocks + 1] = blocks / 0x1_0000_0000;
  words[at + attr.atime] = mtimeLow;
  words[at + attr.atime + 1] = mtimeHigh;
  words[at + attr.mtime] = mtimeLow;
  words[at + attr.mtime + 1] = mtimeHigh;
  words[at + attr.ctime] = mtimeLow;
  words[at + attr.ctime + 1] = mtimeHigh;
  words[at + attr.atimensec] = mtimeNanoseconds;
  words[at + attr.mtimensec] = mtimeNanoseconds;
  words[at + attr.ctimensec] = mtimeNanoseconds;
  words[at + attr.mode] = inode.mode;
  words[at + attr.nlink] = inode.nlink;
  words[at + attr.uid] = inode.uid;
  words[at + attr.gid] = inode.gid;
  words[at + attr.rdev] = inode.rdev;
  words[at + attr.blksize] = BLOCK_SIZE;
  words[at + attr.flags] = 0;
}
