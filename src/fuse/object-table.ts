/**
 * The objects of one image as a file system has them: numbered, in memory that threads share.
 * Nodes: 1 is the root; 2 to 257 are the directories `00` to `ff`; then one for each object in the
 * order of the digests.
 *
 * @module
 */
import type { VerityDigest } from "../verity/verity-digest.ts";
import { FUSE_ROOT_ID } from "./wire.ts";

/** An object of an image. */
export interface ListedObject {
  readonly digest: VerityDigest;
  /** Bytes, as the image says. */
  readonly size: number;
  /** A file of the image that has this content. */
  readonly nid: number;
}

/** The memory of an {@link ObjectTable}, to be handed to other threads. */
export interface ObjectTableMemory {
  /** Digests one after the other, sorted. */
  readonly digests: SharedArrayBuffer;
  /** Size and nid of each, as doubles. */
  readonly numbers: SharedArrayBuffer;
  readonly digestSize: number;
}

const FIRST_DIRECTORY = FUSE_ROOT_ID + 1;
const FIRST_OBJECT = FIRST_DIRECTORY + 256;
const HEX = Buffer.from("0123456789abcdef");

/** Finds objects by their names and numbers. */
export class ObjectTable {
  readonly memory: ObjectTableMemory;
  readonly count: number;
  readonly #digests: Buffer;
  readonly #numbers: Float64Array;
  readonly #digestSize: number;

  constructor(memory: ObjectTableMemory) {
    this.memory = memory;
    this.#digests = Buffer.from(memory.digests);
    this.#numbers = new Float64Array(memory.numbers);
    this.#digestSize = memory.digestSize;
    this.count = this.#numbers.length / 2;
  }

  /** Whether a node is the root or one of the directories in it. */
  isDirectory(node: number): boolean {
    return node >= FUSE_ROOT_ID && node < FIRST_OBJECT;
  }

  /** The node that `name[start, end)` leads to in a directory; 0 when there is none. */
  find(directory: number, name: Uint8Array, start: number, end: number): number {
    if (directory === FUSE_ROOT_ID) {
      const byte = end - start === 2 ? hexByte(name, start) : -1;
      return byte < 0 ? 0 : FIRST_DIRECTORY + byte;
    }
    if (!this.isDirectory(directory) || end - start !== 2 * (this.#digestSize - 1)) return 0;
    const wanted = Buffer.alloc(this.#digestSize);
    wanted[0] = directory - FIRST_DIRECTORY;
    for (let i = 1; i < wanted.length; i++) {
      const byte = hexByte(name, start + 2 * (i - 1));
      if (byte < 0) return 0;
      wanted[i] = byte;
    }
    const index = this.#search(wanted);
    return index < 0 ? 0 : FIRST_OBJECT + index;
  }

  /** The node of an object; 0 for any other node. */
  nodeOf(digest: VerityDigest): number {
    const index = this.#search(Buffer.from(digest, "hex"));
    return index < 0 ? 0 : FIRST_OBJECT + index;
  }

  /** The object of a node; undefined for directories and unknown numbers. */
  at(node: number): ListedObject | undefined {
    const index = node - FIRST_OBJECT;
    if (!(index >= 0 && index < this.count)) return undefined;
    const at = index * this.#digestSize;
    return {
      digest: this.#digests.toString("hex", at, at + this.#digestSize) as VerityDigest,
      size: this.#numbers[index * 2]!,
      nid: this.#numbers[index * 2 + 1]!,
    };
  }

  #search(wanted: Buffer): number {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = middle * this.#digestSize;
      const order = wanted.compare(this.#digests, at, at + this.#digestSize);
      if (order === 0) return middle;
      if (order > 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

/** The byte of two lower-case hex digits; -1 for other bytes. */
function hexByte(name: Uint8Array, at: number): number {
  const high = HEX.indexOf(name[at]!);
  const low = HEX.indexOf(name[at + 1]!);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}
