/**
 * Where everything goes: the shape of each inode's data, and its place in the image.
 *
 * Spec: composefs image format, section 7 (compact or extended), section 8, "Data of each type", and
 * section 9, "Placement".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  CHUNK_BITS_MAX,
  Dirent,
  INODES_OFFSET,
  InodeCompact,
  InodeExtended,
  SLOT_SIZE,
} from "./format.ts";
import type { Node, Order } from "./writer-nodes.ts";
import { bodySize } from "./writer-xattrs.ts";

const HALF_BLOCK = BLOCK_SIZE / 2;
const CONTENT_MAX = 5000;
const CHUNKS_MAX = 1024n;
const CHUNK_ADDRESS_SIZE = 4;
const ROOT_NID_MAX = 65534;

/** Offsets in the file, in bytes. */
export interface Layout {
  /** Where inodes end and the shared xattr table starts. */
  readonly inodesEnd: number;
  /** Where the data blocks start. */
  readonly dataStart: number;
  readonly blocks: number;
}

const roundUp = (value: number, step: number) => Math.ceil(value / step) * step;

/**
 * Gives every node its shape and its place.
 *
 * @throws {@link FormatError} `LIMIT` when something does not fit the format or the image is too large
 */
export function layOut({ nodes, minSeconds, minNanoseconds }: Order, sharedSize: number): Layout {
  let position: number = INODES_OFFSET;
  let blocks = 0;
  for (const node of nodes) {
    const { inode } = node;
    shape(node);
    // Devices, fifos and sockets are judged by a size that is not written.
    node.extended =
      inode.mtimeNanoseconds !== minNanoseconds ||
      node.nlink > 0xffff ||
      inode.uid > 0xffff ||
      inode.gid > 0xffff ||
      node.size > 0xffffffff ||
      inode.mtimeSeconds !== minSeconds;
    node.xattrSize = bodySize(node);
    position = place(node, position);
    blocks += node.blocks;
  }
  if (nodes[0]!.start / SLOT_SIZE > ROOT_NID_MAX) {
    throw new FormatError("LIMIT", "image: the root inode does not fit its number");
  }
  const inodesEnd = roundUp(position, SLOT_SIZE);
  const dataStart = roundUp(inodesEnd + sharedSize, BLOCK_SIZE);
  let block = dataStart / BLOCK_SIZE;
  for (const node of nodes) {
    node.firstBlock = block;
    block += node.blocks;
  }
  if (block * BLOCK_SIZE > limits.imageBytes) {
    throw new FormatError("LIMIT", `image: it would have ${block * BLOCK_SIZE} bytes`);
  }
  return { inodesEnd, dataStart, blocks: block };
}

/** Sets `blocks` and `tail`, and a directory's size. */
function shape(node: Node): void {
  const type = node.mode & S_IFMT;
  if (type === S_IFDIR) {
    shapeDirectory(node);
  } else if (type === S_IFLNK) {
    if (node.size === 0 || node.size > limits.symlinkBytes) {
      throw new FormatError("LIMIT", `symlink target of ${node.size} bytes`);
    }
    node.tail = node.size;
  } else if (node.external) {
    node.tail = CHUNK_ADDRESS_SIZE * shapeChunks(node);
  } else if (type === S_IFREG && node.size > 0) {
    if (node.size > CONTENT_MAX) {
      throw new FormatError("LIMIT", `content of ${node.size} bytes in the image`);
    }
    setBlocks(node, Math.floor(node.size / BLOCK_SIZE), node.size % BLOCK_SIZE);
  }
}

/** A tail of more than half a block becomes a block. */
function setBlocks(node: Node, blocks: number, tail: number): void {
  node.blocks = tail > HALF_BLOCK ? blocks + 1 : blocks;
  node.tail = tail > HALF_BLOCK ? 0 : tail;
}

function shapeDirectory(node: Node): void {
  const listing = node.listing!;
  const { names } = listing;
  const ends: number[] = [];
  let used = 0;
  for (let index = 0; index < names.length; index++) {
    const size = Dirent.size + names[index]!.length;
    if (used + size > BLOCK_SIZE) {
      ends.push(index);
      used = 0;
    }
    used += size;
  }
  setBlocks(node, ends.length, used);
  ends.push(names.length);
  listing.ends = ends;
  node.size = node.blocks * BLOCK_SIZE + node.tail;
}

/** Sets the chunk size of an external file and returns how many chunks it has. */
function shapeChunks(node: Node): number {
  if (node.size <= 2 ** CHUNK_BITS_MAX) {
    node.chunkBits = Math.max(BLOCK_BITS, bitLength(node.size - 1));
    return 1;
  }
  node.chunkBits = CHUNK_BITS_MAX;
  // The sum wraps at 2^64, so the largest sizes have no chunk at all.
  const size = BigInt.asUintN(64, node.inode.size);
  const chunk = 1n << BigInt(CHUNK_BITS_MAX);
  const chunks = BigInt.asUintN(64, size + chunk - 1n) / chunk;
  if (chunks > CHUNKS_MAX) throw new FormatError("LIMIT", `file of ${size} bytes: too large`);
  return Number(chunks);
}

/** Bits that the integer `value` below 2^53 needs. */
function bitLength(value: number): number {
  const high = Math.floor(value / 2 ** 32);
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(value);
}

/** Finds the place of an inode behind `position` and returns where it ends. */
function place(node: Node, position: number): number {
  const head = (node.extended ? InodeExtended.size : InodeCompact.size) + node.xattrSize;
  let start = roundUp(position, SLOT_SIZE);
  if ((node.mode & S_IFMT) === S_IFLNK) {
    const total = head + node.tail;
    // A short link shares a block with its target.
    const last = start + total - 1;
    if (Math.floor(start / BLOCK_SIZE) !== Math.floor(last / BLOCK_SIZE)) {
      start = roundUp(start, BLOCK_SIZE);
    }
    if (total >= BLOCK_SIZE) {
      node.blocks = 1;
      node.tail = 0;
    }
  } else {
    const left = BLOCK_SIZE - ((start + head) % BLOCK_SIZE);
    if (left < node.tail) {
      // A tail must not cross a block: move on until it starts the next one.
      const skip = roundUp(left, SLOT_SIZE);
      const leftThen = BLOCK_SIZE - ((start + head + skip) % BLOCK_SIZE);
      if (node.tail <= leftThen) start += skip;
      else {
        node.blocks += 1;
        node.tail = 0;
        start = roundUp(start, BLOCK_SIZE);
      }
    }
  }
  node.start = start;
  return start + head + node.tail;
}
