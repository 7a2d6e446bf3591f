/**
 * Which bytes of an image are in use, in slots of 32 bytes: finds overlaps, inodes met before, and
 * bytes that belong to nothing. It takes one byte of memory per slot, so its cost depends only on
 * the size of the file.
 *
 * @module
 */
import { SLOT_SIZE } from "./format.ts";
import { ImageRuleError } from "./image-rules.ts";

const FREE = 0;
const OWNED = 1;
const INODE = 2;

export class SpaceMap {
  readonly #bytes: Uint8Array;
  readonly #slots: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#slots = new Uint8Array(Math.ceil(bytes.length / SLOT_SIZE));
  }

  /** True when an inode that begins at `nid` has been claimed. */
  hasInode(nid: number): boolean {
    return this.#slots[nid] === INODE;
  }

  /** Claims an inode with all that follows it directly: xattrs and inline data. */
  claimInode(nid: number, end: number): void {
    this.claim(nid * SLOT_SIZE, end);
    this.#slots[nid] = INODE;
  }

  /** Claims a range inside the file; it begins at a slot, and the rest of its last slot is zero. */
  claim(start: number, end: number): void {
    const first = start / SLOT_SIZE;
    const last = Math.ceil(end / SLOT_SIZE);
    for (let slot = first; slot < last; slot++) {
      if (this.#slots[slot] === FREE) continue;
      throw new ImageRuleError(
        "layout.overlap",
        slot * SLOT_SIZE,
        `bytes ${start} to ${end} overlap what was found before`,
      );
    }
    this.#slots.fill(OWNED, first, last);
    this.expectZeros(end, last * SLOT_SIZE);
  }

  /** The first owned slot's offset at or after `offset`, or the file's length. */
  nextOwned(offset: number): number {
    let slot = Math.ceil(offset / SLOT_SIZE);
    while (slot < this.#slots.length && this.#slots[slot] === FREE) slot++;
    return Math.min(slot * SLOT_SIZE, this.#bytes.length);
  }

  /** Requires every byte from `from` on that belongs to nothing to be zero. */
  expectUnownedZero(from: number): void {
    for (let slot = from / SLOT_SIZE; slot < this.#slots.length; slot++) {
      if (this.#slots[slot] === FREE) this.expectZeros(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE);
    }
  }

  expectZeros(start: number, end: number): void {
    for (let at = start; at < end; at++) {
      if (this.#bytes[at] === 0) continue;
      throw new ImageRuleError("layout.padding", at, `expected 0, got ${this.#bytes[at]}`);
    }
  }
}
