/**
 * Where everything goes: the shape of each inode's data, and its place in the image.
 *
 * Spec: docs/image-format.md, "Inodes", "Data of each type" and "Placement".
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
  INODES_OFFSET,
  InodeCompact,
  InodeExtended,
  SLOT_SIZE,
} from "./format.ts";
import { EXTENDED, EXTERNAL, type Nodes } from "./writer-nodes.ts";
import type { Order } from "./writer-order.ts";
import { bodySize } from "./writer-xattrs.ts";

const HALF_BLOCK = BLOCK_SIZE / 2;
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
export function layOut(order: Order, sharedSize: number): Layout {
  const { nodes, objects, oldest } = order;
  nodes.makeLayoutColumns();
  let position: number = INODES_OFFSET;
  let blocks = 0;
  for (let node = 0; node < nodes.count; node++) {
    shape(nodes, node);
    // Devices, fifos and sockets are judged by a size that is not written.
    const extended =
      nodes.nlink[node]! > 0xffff ||
      nodes.uid[node]! > 0xffff ||
      nodes.gid[node]! > 0xffff ||
      nodes.size[node]! > 0xffffffff ||
      !nodes.isSameAge(node, oldest);
    if (extended) nodes.flags[node]! |= EXTENDED;
    nodes.xattrSize[node] = bodySize(nodes, objects, node);
    position = place(nodes, node, position);
    blocks += nodes.blocks[node]!;
    if (position > limits.imageBytes) throw tooLarge(position);
  }
  if (nodes.nid[0]! > ROOT_NID_MAX) {
    throw new FormatError("LIMIT", "image: the root inode does not fit its number");
  }
  const inodesEnd = roundUp(position, SLOT_SIZE);
  const dataStart = roundUp(inodesEnd + sharedSize, BLOCK_SIZE);
  let block = dataStart / BLOCK_SIZE;
  const size = dataStart + blocks * BLOCK_SIZE;
  if (size > limits.imageBytes) throw tooLarge(size);
  for (let node = 0; node < nodes.count; node++) {
    nodes.firstBlock[node] = block;
    block += nodes.blocks[node]!;
  }
  return { inodesEnd, dataStart, blocks: block };
}

function tooLarge(size: number): FormatError {
  return new FormatError(
    "LIMIT",
    `image: expected at most ${limits.imageBytes} bytes, got ${size} or more`,
  );
}

/** Sets `blocks` and `tail`, and a directory's size. */
function shape(nodes: Nodes, node: number): void {
  const type = nodes.mode[node]! & S_IFMT;
  const size = nodes.size[node]!;
  if (type === S_IFDIR) {
    const { ends, rest } = nodes.listings[node]!;
    setBlocks(nodes, node, ends.length - 1, rest);
    nodes.size[node] = nodes.blocks[node]! * BLOCK_SIZE + nodes.tail[node]!;
  } else if (type === S_IFLNK) {
    if (size === 0 || size > limits.symlinkBytes) {
      throw new FormatError(
        "LIMIT",
        `symlink target: expected at most ${limits.symlinkBytes} bytes, got ${size}`,
      );
    }
    nodes.tail[node] = size;
  } else if (nodes.is(node, EXTERNAL)) {
    nodes.tail[node] = CHUNK_ADDRESS_SIZE * shapeChunks(nodes, node);
  } else if (type === S_IFREG && size > 0) {
    if (size > limits.inlineBytes) {
      throw new FormatError(
        "LIMIT",
        `content in the image: expected at most ${limits.inlineBytes} bytes, got ${size}`,
      );
    }
    setBlocks(nodes, node, Math.floor(size / BLOCK_SIZE), size % BLOCK_SIZE);
  }
}

/** A tail of more than half a block becomes a block. */
function setBlocks(nodes: Nodes, node: number, blocks: number, tail: number): void {
  nodes.blocks[node] = tail > HALF_BLOCK ? blocks + 1 : blocks;
  nodes.tail[node] = tail > HALF_BLOCK ? 0 : tail;
}

/** Sets the chunk size of an external file and returns how many chunks it has. */
function shapeChunks(nodes: Nodes, node: number): number {
  const known = nodes.size[node]!;
  if (known <= 2 ** CHUNK_BITS_MAX) {
    nodes.chunkBits[node] = Math.max(BLOCK_BITS, bitLength(known - 1));
    return 1;
  }
  nodes.chunkBits[node] = CHUNK_BITS_MAX;
  // The sum wraps at 2^64, so the largest sizes have no chunk at all.
  const size = BigInt.asUintN(64, nodes.inodes[node]!.size);
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
function place(nodes: Nodes, node: number, position: number): number {
  const inodeSize = nodes.is(node, EXTENDED) ? InodeExtended.size : InodeCompact.size;
  const head = inodeSize + nodes.xattrSize[node]!;
  let start = roundUp(position, SLOT_SIZE);
  let tail = nodes.tail[node]!;
  if ((nodes.mode[node]! & S_IFMT) === S_IFLNK) {
    const total = head + tail;
    // A short link shares a block with its target.
    const last = start + total - 1;
    if (Math.floor(start / BLOCK_SIZE) !== Math.floor(last / BLOCK_SIZE)) {
      start = roundUp(start, BLOCK_SIZE);
    }
    if (total >= BLOCK_SIZE) {
      nodes.blocks[node] = 1;
      tail = 0;
    }
  } else {
    const left = BLOCK_SIZE - ((start + head) % BLOCK_SIZE);
    if (left < tail) {
      // A tail must not cross a block: move on until it starts the next one.
      const skip = roundUp(left, SLOT_SIZE);
      const leftThen = BLOCK_SIZE - ((start + head + skip) % BLOCK_SIZE);
      if (tail <= leftThen) start += skip;
      else {
        nodes.blocks[node]! += 1;
        tail = 0;
        start = roundUp(start, BLOCK_SIZE);
      }
    }
  }
  nodes.tail[node] = tail;
  nodes.nid[node] = start / SLOT_SIZE;
  return start + head + tail;
}
