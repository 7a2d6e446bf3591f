/**
 * Directories as the image stores them: blocks of sorted entries, each block with its own table of
 * names. Nothing is kept: a lookup reads a dozen entries, a listing one entry at a time.
 *
 * Spec: docs/image-format.md, "Directories".
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { type Extent, extentOf } from "./data-reader.ts";
import { BLOCK_SIZE, Dirent } from "./format.ts";
import type { ImageInode } from "./inode-reader.ts";

/** One name in a directory. */
export interface ImageDirent {
  readonly name: ByteString;
  readonly nid: number;
  /** `FT_*` value. */
  readonly fileType: number;
}

/** A name with its place in the directory, counted from 0 in stored order. */
export interface ListedDirent extends ImageDirent {
  readonly index: number;
}

/** One directory of one image, ready to be searched. */
export class DirectoryReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #nid: number;
  readonly #extent: Extent;
  readonly #blocks: number;

  /** @throws {@link FormatError} `OUT_OF_RANGE` when the blocks do not lie inside the image */
  constructor(bytes: Uint8Array, view: DataView, directory: ImageInode) {
    this.#bytes = bytes;
    this.#view = view;
    this.#nid = directory.nid;
    this.#extent = extentOf(bytes.length, directory);
    const { blocksLength, tailLength } = this.#extent;
    this.#blocks = Math.ceil(blocksLength / BLOCK_SIZE) + (tailLength > 0 ? 1 : 0);
  }

  /** Finds `name` by two binary searches: for the block, then inside it. */
  find(name: ByteString): ImageDirent | undefined {
    let low = 0;
    let high = this.#blocks - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.block(middle).compare(0, name) <= 0) low = middle;
      else high = middle - 1;
    }
    if (high < 0) return undefined;
    const block = this.block(low);
    let first = 0;
    let last = block.count - 1;
    while (first <= last) {
      const middle = (first + last) >> 1;
      const order = block.compare(middle, name);
      if (order === 0) {
        return { name, nid: block.nid(middle), fileType: block.fileType(middle) };
      }
      if (order < 0) first = middle + 1;
      else last = middle - 1;
    }
    return undefined;
  }

  /** The entries in stored order, from the `from`-th on. */
  *entries(from = 0): Generator<ListedDirent, void, undefined> {
    let index = 0;
    for (let i = 0; i < this.#blocks; i++) {
      const block = this.block(i);
      for (let at = Math.max(0, from - index); at < block.count; at++) {
        yield {
          name: block.name(at),
          nid: block.nid(at),
          fileType: block.fileType(at),
          index: index + at,
        };
      }
      index += block.count;
    }
  }

  /** The nids of the entries but "." and "..", without their names: a walk that needs no more. */
  *nids(): Generator<number, void, undefined> {
    for (let i = 0; i < this.#blocks; i++) {
      const block = this.block(i);
      for (let at = 0; at < block.count; at++) if (!block.isDots(at)) yield block.nid(at);
    }
  }

  /** How many blocks there are; the tail counts as one. */
  get blockCount(): number {
    return this.#blocks;
  }

  /** Offset of a block in the image. */
  blockOffset(index: number): number {
    const { blocksOffset, blocksLength, tailOffset } = this.#extent;
    const inBlocks = index * BLOCK_SIZE;
    return inBlocks < blocksLength ? blocksOffset + inBlocks : tailOffset;
  }

  /** @throws {@link FormatError} `MALFORMED` when the block does not begin with entries */
  block(index: number): DirectoryBlock {
    const { blocksLength, tailLength } = this.#extent;
    const inBlocks = index * BLOCK_SIZE;
    const isTail = inBlocks >= blocksLength;
    const length = isTail ? tailLength : Math.min(BLOCK_SIZE, blocksLength - inBlocks);
    const start = this.blockOffset(index);
    return new DirectoryBlock(this.#bytes, this.#view, this.#nid, start, length, isTail);
  }
}

/** One block (or the tail) of a directory. */
class DirectoryBlock {
  readonly start: number;
  readonly length: number;
  /** True for the part that stands after the inode. */
  readonly isTail: boolean;
  /** Entries in this block, at least 1. */
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #directory: number;

  /**
   * @throws {@link FormatError} `MALFORMED` when the number of entries that the first one implies
   * does not fit
   */
  constructor(
    bytes: Uint8Array,
    view: DataView,
    directory: number,
    start: number,
    length: number,
    isTail: boolean,
  ) {
    this.isTail = isTail;
    this.#bytes = bytes;
    this.#view = view;
    this.#directory = directory;
    this.start = start;
    this.length = length;
    // Names follow the entries, so the first name's offset tells how many entries there are.
    const namesAt = length < Dirent.size ? 0 : view.getUint16(start + NAME_OFFSET, true);
    if (namesAt < Dirent.size || namesAt % Dirent.size !== 0 || namesAt > length) {
      throw new FormatError(
        "MALFORMED",
        `directory ${directory}: block at ${start}: ${namesAt} is no place for the first name`,
      );
    }
    this.count = namesAt / Dirent.size;
  }

  /** The place of a name in the image: from `start` up to, not including, `end`. */
  nameRange(index: number): { start: number; end: number } {
    const at = this.start + index * Dirent.size;
    const blockEnd = this.start + this.length;
    const start = this.start + this.#view.getUint16(at + NAME_OFFSET, true);
    let end = blockEnd;
    if (index + 1 < this.count) {
      end = this.start + this.#view.getUint16(at + Dirent.size + NAME_OFFSET, true);
    } else {
      // The last name of a block ends where the padding begins.
      let stop = start;
      while (stop < blockEnd && this.#bytes[stop] !== 0) stop++;
      end = stop;
    }
    if (start >= end || end > blockEnd) {
      throw new FormatError(
        "MALFORMED",
        `directory ${this.#directory}: entry ${index} of the block at ${this.start}: no name`,
      );
    }
    return { start, end };
  }

  /** Orders the stored name against `name` as unsigned bytes. */
  compare(index: number, name: ByteString): number {
    const { start, end } = this.nameRange(index);
    const common = Math.min(end - start, name.length);
    for (let i = 0; i < common; i++) {
      const difference = this.#bytes[start + i]! - name.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return end - start - name.length;
  }

  name(index: number): ByteString {
    const { start, end } = this.nameRange(index);
    return toByteString(this.#bytes, start, end);
  }

  /** True for "." and "..". */
  isDots(index: number): boolean {
    const { start, end } = this.nameRange(index);
    return (
      this.#bytes[start] === DOT &&
      (end - start === 1 || (end - start === 2 && this.#bytes[start + 1] === DOT))
    );
  }

  /** A nid above 2^53 loses bits here, but is far outside any image anyway. */
  nid(index: number): number {
    const at = this.start + index * Dirent.size;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x100000000;
  }

  fileType(index: number): number {
    return this.#view.getUint8(this.start + index * Dirent.size + FILE_TYPE);
  }
}

const DOT = 0x2e;
const NAME_OFFSET = Dirent.offsets.nameOffset;
const FILE_TYPE = Dirent.offsets.fileType;
