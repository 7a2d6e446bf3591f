/**
 * Directories of an image, read for speed: finding a name by binary search, and stepping through
 * entries from any position, straight from the image's bytes.
 *
 * Spec: docs/image-format.md, "Directories".
 *
 * @module
 */
import { BLOCK_SIZE, Dirent, FT_CHRDEV } from "../erofs/format.ts";
import { FormatError } from "../errors.ts";
import { S_IFDIR, S_IFMT } from "../tree/inode.ts";
import { Attributes, type InodeTable } from "./attributes.ts";

const { nameOffset: NAME_OFFSET, fileType: FILE_TYPE } = Dirent.offsets;
/** More entries than a block can hold, so that block and index fit into one position. */
const POSITIONS_PER_BLOCK = 512;

/**
 * A position in a directory that moves over its entries. One object serves many directories, one
 * after the other.
 */
export class DirectoryCursor {
  /** Of the entry that {@link next} stopped at: its inode, `FT_*` type, and name in the image. */
  nid = 0;
  fileType = 0;
  nameAt = 0;
  nameLength = 0;
  /** The position behind that entry: the same for all times, never 0. */
  position = 0;

  readonly #table: InodeTable;
  readonly #bytes: Uint8Array;
  readonly #directory = new Attributes();
  readonly #entry = new Attributes();
  #blocks = 0;
  #block = 0;
  #index = 0;
  #start = 0;
  #length = 0;
  #count = 0;

  constructor(table: InodeTable) {
    this.#table = table;
    this.#bytes = table.bytes;
  }

  /** Starts at `position` of the directory `nid`: 0, or one that {@link position} had. */
  seek(nid: number, position = 0): this {
    this.#open(nid);
    this.#enter(Math.floor(position / POSITIONS_PER_BLOCK));
    this.#index = position % POSITIONS_PER_BLOCK;
    return this;
  }

  /** Moves to the next entry that users see; false at the end. */
  next(): boolean {
    for (;;) {
      while (this.#index >= this.#count) {
        if (this.#block + 1 >= this.#blocks) return false;
        this.#enter(this.#block + 1);
      }
      this.#take(this.#index);
      this.#index += 1;
      this.position = this.#block * POSITIONS_PER_BLOCK + this.#index;
      if (!this.#isWhiteout()) return true;
    }
  }

  /** The inode that `name[start, end)` leads to in the directory `nid`; 0 when there is none. */
  find(nid: number, name: Uint8Array, start: number, end: number): number {
    this.#open(nid);
    if (this.#blocks === 0) return 0;
    // The last block whose first name is not behind the wanted one.
    let low = 0;
    let high = this.#blocks - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      this.#enter(middle);
      this.#take(0);
      if (this.#compare(name, start, end) > 0) high = middle - 1;
      else low = middle;
    }
    this.#enter(low);
    low = 0;
    high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      this.#take(middle);
      const order = this.#compare(name, start, end);
      if (order === 0) return this.#isWhiteout() ? 0 : this.nid;
      if (order > 0) high = middle - 1;
      else low = middle + 1;
    }
    return 0;
  }

  #open(nid: number): void {
    const { mode, size } = this.#table.read(nid, this.#directory);
    if ((mode & S_IFMT) !== S_IFDIR || size > this.#bytes.length) {
      throw new FormatError("MALFORMED", `nid ${nid}: no directory`);
    }
    this.#blocks = Math.ceil(this.#directory.size / BLOCK_SIZE);
    this.#block = -1;
    this.#count = 0;
    this.#index = 0;
  }

  #enter(block: number): void {
    this.#block = block;
    this.#index = 0;
    this.#count = 0;
    if (block >= this.#blocks) return;
    this.#start = this.#table.blockAt(this.#directory, block);
    this.#length = Math.min(BLOCK_SIZE, this.#directory.size - block * BLOCK_SIZE);
    if (this.#start + this.#length > this.#bytes.length) {
      throw new FormatError("OUT_OF_RANGE", `directory block at ${this.#start}: beyond the end`);
    }
    this.#count = this.#nameOffset(this.#start) / Dirent.size;
  }

  #nameOffset(dirent: number): number {
    return this.#table.halves[(dirent + NAME_OFFSET) >> 1]!;
  }

  #take(index: number): void {
    const at = this.#start + index * Dirent.size;
    const bytes = this.#bytes;
    const from = this.#nameOffset(at);
    let to = from;
    if (index + 1 < this.#count) {
      to = this.#nameOffset(at + Dirent.size);
    } else {
      // The last name ends at the first zero, or with the block.
      while (to < this.#length && bytes[this.#start + to] !== 0) to += 1;
    }
    this.nid = this.#table.words[at >> 2]!; // `nid` is the first field; its upper half is 0
    this.fileType = bytes[at + FILE_TYPE]!;
    this.nameAt = this.#start + from;
    this.nameLength = to - from;
  }

  /** Orders the entry at hand against a name, as unsigned bytes. */
  #compare(name: Uint8Array, start: number, end: number): number {
    const bytes = this.#bytes;
    const length = Math.min(this.nameLength, end - start);
    for (let i = 0; i < length; i++) {
      const difference = bytes[this.nameAt + i]! - name[start + i]!;
      if (difference !== 0) return difference;
    }
    return this.nameLength - (end - start);
  }

  /** Character devices 0:0 are overlayfs's whiteouts, which are not shown. */
  #isWhiteout(): boolean {
    return this.fileType === FT_CHRDEV && this.#table.read(this.nid, this.#entry).rdev === 0;
  }
}

const DOT = 0x2e;

/** Whether a name is `.` or `..`. */
export function isDot(bytes: Uint8Array, at: number, length: number): boolean {
  if (length > 2 || bytes[at] !== DOT) return false;
  return length === 1 || bytes[at + 1] === DOT;
}
