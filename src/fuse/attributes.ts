/**
 * The inodes of an image, read for speed: one record filled again and again, straight from the
 * image's bytes (composefs image format, section 7). The image has been verified before; an address
 * outside of it throws all the same.
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
} from "../erofs/format.ts";
import { Attr } from "./wire.ts";

const compact = InodeCompact.offsets;
const extended = InodeExtended.offsets;
const XATTR_BODY_HEADER = 12;

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
  /** The two halves of the 64-bit seconds: their sign matters only to who joins them. */
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
  readonly #view: DataView;
  /** Compact inodes have the image's own time. */
  readonly #mtimeLow: number;
  readonly #mtimeHigh: number;
  readonly #mtimeNanoseconds: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const time = SUPERBLOCK_OFFSET + Superblock.offsets.buildTime;
    this.#mtimeLow = this.#view.getUint32(time, true);
    this.#mtimeHigh = this.#view.getUint32(time + 4, true);
    const nanoseconds = SUPERBLOCK_OFFSET + Superblock.offsets.buildTimeNsec;
    this.#mtimeNanoseconds = this.#view.getUint32(nanoseconds, true);
  }

  /** Fills `out` with the inode `nid` and returns it. */
  read(nid: number, out: Attributes): Attributes {
    const view = this.#view;
    const at = nid * SLOT_SIZE;
    const format = view.getUint16(at, true);
    out.nid = nid;
    out.layout = (format >> 1) & 7;
    out.xattrIcount = view.getUint16(at + compact.xattrIcount, true);
    out.mode = view.getUint16(at + compact.mode, true);
    out.rdev = view.getUint32(at + compact.u, true); // `u`: 16 in both layouts
    out.dataBlock = out.rdev;
    let body: number;
    if ((format & FORMAT_EXTENDED) === 0) {
      out.size = view.getUint32(at + compact.size, true);
      out.nlink = view.getUint16(at + compact.nlink, true);
      out.uid = view.getUint16(at + compact.uid, true);
      out.gid = view.getUint16(at + compact.gid, true);
      out.mtimeLow = this.#mtimeLow;
      out.mtimeHigh = this.#mtimeHigh;
      out.mtimeNanoseconds = this.#mtimeNanoseconds;
      body = at + InodeCompact.size;
    } else {
      const high = view.getUint32(at + extended.size + 4, true);
      out.size = view.getUint32(at + extended.size, true) + high * 0x1_0000_0000;
      out.nlink = view.getUint32(at + extended.nlink, true);
      out.uid = view.getUint32(at + extended.uid, true);
      out.gid = view.getUint32(at + extended.gid, true);
      out.mtimeLow = view.getUint32(at + extended.mtime, true);
      out.mtimeHigh = view.getUint32(at + extended.mtime + 4, true);
      out.mtimeNanoseconds = view.getUint32(at + extended.mtimeNsec, true);
      body = at + InodeExtended.size;
    }
    const xattrs = out.xattrIcount === 0 ? 0 : XATTR_BODY_HEADER + (out.xattrIcount - 1) * 4;
    out.tailAt = body + xattrs;
    const type = out.mode & 0xf000;
    if (type !== 0x2000 && type !== 0x6000) out.rdev = 0;
    return out;
  }

  /** Where the data block `index` of a directory or inline file starts, and how long it is. */
  blockAt(inode: Attributes, index: number): number {
    const inTail =
      inode.layout === LAYOUT_FLAT_INLINE && index >= Math.floor(inode.size / BLOCK_SIZE);
    return inTail ? inode.tailAt : (inode.dataBlock + index) * BLOCK_SIZE;
  }
}

const attr = Attr.offsets;
const SECTOR = 512;

/** Writes `struct fuse_attr` of an inode. The inode number is the nid, as the kernel's EROFS has it. */
export function packAttributes(view: DataView, at: number, inode: Attributes): void {
  const { size, mtimeLow, mtimeHigh, mtimeNanoseconds } = inode;
  const blocks = Math.ceil(size / SECTOR);
  view.setUint32(at + attr.ino, inode.nid, true);
  view.setUint32(at + attr.ino + 4, 0, true);
  view.setUint32(at + attr.size, size, true); // setUint32 takes the value modulo 2^32
  view.setUint32(at + attr.size + 4, size / 0x1_0000_0000, true);
  view.setUint32(at + attr.blocks, blocks, true);
  view.setUint32(at + attr.blocks + 4, blocks / 0x1_0000_0000, true);
  for (let field = at + attr.atime; field <= at + attr.ctime; field += 8) {
    view.setUint32(field, mtimeLow, true);
    view.setUint32(field + 4, mtimeHigh, true);
  }
  view.setUint32(at + attr.atimensec, mtimeNanoseconds, true);
  view.setUint32(at + attr.mtimensec, mtimeNanoseconds, true);
  view.setUint32(at + attr.ctimensec, mtimeNanoseconds, true);
  view.setUint32(at + attr.mode, inode.mode, true);
  view.setUint32(at + attr.nlink, inode.nlink, true);
  view.setUint32(at + attr.uid, inode.uid, true);
  view.setUint32(at + attr.gid, inode.gid, true);
  view.setUint32(at + attr.rdev, inode.rdev, true);
  view.setUint32(at + attr.blksize, BLOCK_SIZE, true);
  view.setUint32(at + attr.flags, 0, true);
}
