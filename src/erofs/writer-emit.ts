/**
 * The bytes of a laid out image. Hot fields go through the offsets of the declared structs: encoding
 * an object per inode costs several times as much.
 *
 * Spec: docs/image-format.md, "Inodes", "Data of each type" and "Directories".
 *
 * @module
 */
import { writeBytes } from "../bytes/bytestring.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  Dirent,
  FORMAT_EXTENDED,
  FT_BLKDEV,
  FT_CHRDEV,
  FT_DIR,
  FT_FIFO,
  FT_REG_FILE,
  FT_SOCK,
  FT_SYMLINK,
  InodeCompact,
  InodeExtended,
  LAYOUT_CHUNK_BASED,
  LAYOUT_FLAT_INLINE,
  LAYOUT_FLAT_PLAIN,
  SLOT_SIZE,
} from "./format.ts";
import type { Layout } from "./writer-layout.ts";
import type { Entries } from "./writer-entries.ts";
import { EXTENDED, EXTERNAL, type Nodes } from "./writer-nodes.ts";
import type { Order } from "./writer-order.ts";
import { type XattrTable, icountOf } from "./writer-xattrs.ts";

const LAYOUT_SHIFT = 1;

/** Dirent file types by `mode >> 12`. */
const FILE_TYPES = new Uint8Array(16);
FILE_TYPES[0o01] = FT_FIFO;
FILE_TYPES[0o02] = FT_CHRDEV;
FILE_TYPES[0o04] = FT_DIR;
FILE_TYPES[0o06] = FT_BLKDEV;
FILE_TYPES[0o10] = FT_REG_FILE;
FILE_TYPES[0o12] = FT_SYMLINK;
FILE_TYPES[0o14] = FT_SOCK;

/** Writes inodes, xattrs and data into `out`, which is all zero. */
export function emit(order: Order, layout: Layout, table: XattrTable, out: Uint8Array): void {
  const { nodes, objects } = order;
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  for (let node = 0; node < nodes.count; node++) {
    const start = nodes.nid[node]! * SLOT_SIZE;
    const extended = nodes.is(node, EXTENDED);
    emitInode(nodes, node, view, start, extended);
    let at = start + (extended ? InodeExtended.size : InodeCompact.size);
    const xattrSize = nodes.xattrSize[node]!;
    if (xattrSize > 0) table.writeBody(nodes, objects, node, out, view, at, layout.inodesEnd);
    at += xattrSize;
    if (nodes.tail[node]! > 0 || nodes.blocks[node]! > 0) emitData(order, node, out, view, at);
  }
  table.writeShared(out, view, layout.inodesEnd);
}

function emitInode(
  nodes: Nodes,
  node: number,
  view: DataView,
  start: number,
  extended: boolean,
): void {
  const mode = nodes.mode[node]!;
  const type = mode & S_IFMT;
  const external = nodes.is(node, EXTERNAL);
  const icount = icountOf(nodes.xattrSize[node]!);
  const inline = nodes.tail[node]! > 0 ? LAYOUT_FLAT_INLINE : LAYOUT_FLAT_PLAIN;
  const dataLayout = external ? LAYOUT_CHUNK_BASED : inline;
  const format = (dataLayout << LAYOUT_SHIFT) | (extended ? FORMAT_EXTENDED : 0);
  const sized = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
  const size = sized ? nodes.size[node]! : 0;

  let u = 0;
  if (type === S_IFCHR || type === S_IFBLK) u = nodes.rdev[node]!;
  else if (nodes.blocks[node]! > 0) u = nodes.firstBlock[node]!;
  if (external) u = ((u & 0xffff0000) | (nodes.chunkBits[node]! - BLOCK_BITS)) >>> 0;

  if (extended) {
    const at = InodeExtended.offsets;
    view.setUint16(start + at.format, format, true);
    view.setUint16(start + at.xattrIcount, icount, true);
    view.setUint16(start + at.mode, mode, true);
    if (size <= Number.MAX_SAFE_INTEGER) {
      view.setUint32(start + at.size, size % 2 ** 32, true);
      view.setUint32(start + at.size + 4, size / 2 ** 32, true);
    } else view.setBigUint64(start + at.size, nodes.inodes[node]!.size, true);
    view.setUint32(start + at.u, u, true);
    view.setUint32(start + at.ino, node, true);
    view.setUint32(start + at.uid, nodes.uid[node]!, true);
    view.setUint32(start + at.gid, nodes.gid[node]!, true);
    const seconds = nodes.seconds[node]!;
    if (seconds >= 0) {
      view.setUint32(start + at.mtime, seconds % 2 ** 32, true);
      view.setUint32(start + at.mtime + 4, seconds / 2 ** 32, true);
    } else view.setBigInt64(start + at.mtime, nodes.inodes[node]!.mtimeSeconds, true);
    view.setUint32(start + at.mtimeNsec, nodes.nanoseconds[node]!, true);
    view.setUint32(start + at.nlink, nodes.nlink[node]!, true);
  } else {
    const at = InodeCompact.offsets;
    view.setUint16(start + at.format, format, true);
    view.setUint16(start + at.xattrIcount, icount, true);
    view.setUint16(start + at.mode, mode, true);
    view.setUint16(start + at.nlink, nodes.nlink[node]!, true);
    view.setUint32(start + at.size, size, true);
    view.setUint32(start + at.u, u, true);
    view.setUint32(start + at.ino, node, true);
    view.setUint16(start + at.uid, nodes.uid[node]!, true);
    view.setUint16(start + at.gid, nodes.gid[node]!, true);
  }
}

/** Writes a node's data blocks, and its tail at `tailAt`. */
function emitData(
  { nodes, entries }: Order,
  node: number,
  out: Uint8Array,
  view: DataView,
  tailAt: number,
): void {
  const tail = nodes.tail[node]!;
  const blocks = nodes.blocks[node]!;
  const blocksAt = nodes.firstBlock[node]! * BLOCK_SIZE;
  if (nodes.is(node, EXTERNAL)) {
    // Null addresses. Beside a chunk array that fits no block, mkcomposefs fills a whole one.
    out.fill(0xff, blocksAt, blocksAt + blocks * BLOCK_SIZE);
    out.fill(0xff, tailAt, tailAt + tail);
    return;
  }
  const listing = nodes.listings[node];
  if (listing !== undefined) {
    let { first, firstByte } = listing;
    for (let index = 0; index < listing.ends.length; index++) {
      const end = listing.ends[index]!;
      const at = index < blocks ? blocksAt + index * BLOCK_SIZE : tailAt;
      firstByte += emitDirents(nodes, entries, first, end, firstByte, at, out, view);
      first = end;
    }
    return;
  }
  const { target, content } = nodes.inodes[node]!;
  if (target !== undefined && (nodes.mode[node]! & S_IFMT) === S_IFLNK) {
    writeBytes(target, out, blocks > 0 ? blocksAt : tailAt);
  } else if (content !== undefined) {
    const cut = content.length - tail;
    if (cut > 0) out.set(content.subarray(0, cut), blocksAt);
    if (tail > 0) out.set(cut === 0 ? content : content.subarray(cut), tailAt);
  }
}

/**
 * Writes entries `first` to `end`, whose names start at `firstByte`, as one directory block: fixed
 * parts, then names. Returns how many bytes of names there were.
 */
function emitDirents(
  nodes: Nodes,
  entries: Entries,
  first: number,
  end: number,
  firstByte: number,
  at: number,
  out: Uint8Array,
  view: DataView,
): number {
  const { offsets, size } = Dirent;
  const names = (end - first) * size;
  let nameOffset = names;
  for (let entry = first; entry < end; entry++) {
    const dirent = at + (entry - first) * size;
    const target = entries.node[entry]!;
    view.setUint32(dirent + offsets.nid, nodes.nid[target]!, true); // images end below 2^37
    view.setUint16(dirent + offsets.nameOffset, nameOffset, true);
    view.setUint8(dirent + offsets.fileType, FILE_TYPES[nodes.mode[target]! >>> 12]!);
    nameOffset += entries.length[entry]!;
  }
  out.set(entries.bytes.subarray(firstByte, firstByte + nameOffset - names), at + names);
  return nameOffset - names;
}
