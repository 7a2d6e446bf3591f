/**
 * Inodes as the image stores them. One decoder for the reader, the checker and the mount: it runs
 * once per lookup, so it reads the fields directly.
 *
 * Spec: docs/image-format.md, "Inodes".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { S_IFBLK, S_IFCHR, S_IFMT } from "../tree/inode.ts";
import {
  FORMAT_EXTENDED,
  INODES_OFFSET,
  InodeCompact,
  InodeExtended,
  SLOT_SIZE,
  XattrIbodyHeader,
} from "./format.ts";

/** What sits at one nid. Sizes and seconds are 64 bit on disk, hence `bigint`. */
export interface ImageInode {
  readonly nid: number;
  /** The inode's number inside the image, 0 for the root; `nid` is what identifies it. */
  readonly ino: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Raw 32-bit device number of devices, else 0. */
  readonly rdev: number;
  readonly size: bigint;
  readonly mtimeSeconds: bigint;
  readonly mtimeNanoseconds: number;
  /** `LAYOUT_*`: where the data is. */
  readonly layout: number;
  /** `i_format` as stored. */
  readonly format: number;
  readonly xattrIcount: number;
  /** `i_u` as stored: first data block, device number or chunk format. */
  readonly u: number;
  /** Offset of the inode in the image. */
  readonly offset: number;
  /** Offset of its xattr body. */
  readonly xattrOffset: number;
  /** Offset of its inline data: the first byte after inode and xattrs. */
  readonly tailOffset: number;
}

/** The modification time of compact inodes: the superblock's. */
export interface BuildTime {
  readonly buildTime: bigint;
  readonly buildTimeNsec: number;
}

const compact = InodeCompact.offsets;
const extended = InodeExtended.offsets;

/** Bytes of an xattr body with this `i_xattr_icount` (which counts in 4 bytes after the header). */
function xattrBodySize(icount: number): number {
  return icount === 0 ? 0 : XattrIbodyHeader.size + (icount - 1) * 4;
}

/**
 * The mode of the inode at `nid`.
 *
 * @throws {@link FormatError} `OUT_OF_RANGE` when it does not lie inside the image
 */
export function readMode(view: DataView, nid: number): number {
  return view.getUint16(inodeOffset(view, nid) + compact.mode, true);
}

function inodeOffset(view: DataView, nid: number): number {
  const offset = nid * SLOT_SIZE;
  if (!(offset >= INODES_OFFSET && offset + InodeCompact.size <= view.byteLength)) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `nid ${nid}: expected an inode between bytes ${INODES_OFFSET} and ${view.byteLength}`,
    );
  }
  return offset;
}

/**
 * Decodes the inode at `nid`.
 *
 * @throws {@link FormatError} `OUT_OF_RANGE` when inode or xattrs do not lie inside the image
 */
export function readInode(view: DataView, nid: number, built: BuildTime): ImageInode {
  const offset = inodeOffset(view, nid);
  const format = view.getUint16(offset, true);
  const isExtended = (format & FORMAT_EXTENDED) !== 0;
  const xattrOffset = offset + (isExtended ? InodeExtended.size : InodeCompact.size);
  const xattrIcount = view.getUint16(offset + compact.xattrIcount, true);
  const tailOffset = xattrOffset + xattrBodySize(xattrIcount);
  if (tailOffset > view.byteLength) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `nid ${nid}: inode and xattrs end at ${tailOffset}, past the image's ${view.byteLength} bytes`,
    );
  }
  const mode = view.getUint16(offset + compact.mode, true);
  const u = view.getUint32(offset + compact.u, true);
  const type = mode & S_IFMT;
  // One literal for both forms: all inodes then have one shape, which keeps their users fast.
  return {
    nid,
    ino: view.getUint32(offset + compact.ino, true),
    mode,
    nlink: isExtended
      ? view.getUint32(offset + extended.nlink, true)
      : view.getUint16(offset + compact.nlink, true),
    uid: isExtended
      ? view.getUint32(offset + extended.uid, true)
      : view.getUint16(offset + compact.uid, true),
    gid: isExtended
      ? view.getUint32(offset + extended.gid, true)
      : view.getUint16(offset + compact.gid, true),
    rdev: type === S_IFCHR || type === S_IFBLK ? u : 0,
    size: isExtended
      ? view.getBigUint64(offset + extended.size, true)
      : BigInt(view.getUint32(offset + compact.size, true)),
    mtimeSeconds: isExtended ? view.getBigInt64(offset + extended.mtime, true) : built.buildTime,
    mtimeNanoseconds: isExtended
      ? view.getUint32(offset + extended.mtimeNsec, true)
      : built.buildTimeNsec,
    layout: format >> 1,
    format,
    xattrIcount,
    u,
    offset,
    xattrOffset,
    tailOffset,
  };
}
