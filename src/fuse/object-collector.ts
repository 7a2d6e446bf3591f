/**
 * Makes the table of an image's objects: in memory that is no larger than the table, because an image
 * may have hundreds of thousands of them.
 *
 * @module
 */
import type { Image } from "../erofs/image.ts";
import { FT_DIR, FT_REG_FILE } from "../erofs/format.ts";
import { Attributes, InodeTable } from "./attributes.ts";
import { DigestFinder } from "./digest-finder.ts";
import { DirectoryCursor } from "./directory.ts";
import { ObjectTable } from "./object-table.ts";

const FIRST_CAPACITY = 1024;

/** Objects in the order in which they come; the same one may come again. */
export class ObjectCollector {
  readonly #digestSize: number;
  #digests: Buffer;
  #numbers: Float64Array;
  #count = 0;

  constructor(digestSize: number) {
    this.#digestSize = digestSize;
    this.#digests = Buffer.alloc(FIRST_CAPACITY * digestSize);
    this.#numbers = new Float64Array(FIRST_CAPACITY * 2);
  }

  /** Adds the object whose digest stands in `bytes` at `at`. */
  add(bytes: Uint8Array, at: number, size: number, nid: number): void {
    const index = this.#count++;
    if (index * 2 === this.#numbers.length) this.#grow();
    const start = index * this.#digestSize;
    for (let i = 0; i < this.#digestSize; i++) this.#digests[start + i] = bytes[at + i]!;
    this.#numbers[index * 2] = size;
    this.#numbers[index * 2 + 1] = nid;
  }

  /** The table; of an object that came more than once the first counts. */
  table(): ObjectTable {
    const size = this.#digestSize;
    const digests = this.#digests;
    const order = this.#sorted();
    const places = order.filter((index, i) => i === 0 || this.#compare(order[i - 1]!, index) !== 0);
    const memory = {
      digests: new SharedArrayBuffer(places.length * size),
      numbers: new SharedArrayBuffer(places.length * 16),
      digestSize: size,
    };
    const bytes = new Uint8Array(memory.digests);
    const numbers = new Float64Array(memory.numbers);
    for (const [i, index] of places.entries()) {
      bytes.set(digests.subarray(index * size, (index + 1) * size), i * size);
      numbers.set(this.#numbers.subarray(index * 2, index * 2 + 2), i * 2);
    }
    return new ObjectTable(memory);
  }

  /** Indexes in the order of the digests, and the same digest in the order in which it came. */
  #sorted(): Uint32Array {
    const heads = new Uint32Array(this.#count);
    const order = new Uint32Array(this.#count);
    for (let i = 0; i < order.length; i++) {
      order[i] = i;
      heads[i] = this.#digests.readUInt32BE(i * this.#digestSize);
    }
    return order.sort((a, b) => heads[a]! - heads[b]! || this.#compare(a, b) || a - b);
  }

  #compare(a: number, b: number): number {
    const size = this.#digestSize;
    const [first, second] = [a * size, b * size];
    return this.#digests.compare(this.#digests, second, second + size, first, first + size);
  }

  #grow(): void {
    const digests = Buffer.alloc(this.#digests.length * 2);
    digests.set(this.#digests);
    this.#digests = digests;
    const numbers = new Float64Array(this.#numbers.length * 2);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }
}

/** Every distinct object of a verified image, with one file that has it. */
export function objectTableOf(image: Image): ObjectTable {
  const inodes = new InodeTable(image.bytes);
  const finder = new DigestFinder(inodes);
  const inode = new Attributes();
  const cursor = new DirectoryCursor(inodes);
  const directories = [image.rootNid];
  const seen = new Set(directories);
  let collector: ObjectCollector | undefined;
  for (let nid = directories.pop(); nid !== undefined; nid = directories.pop()) {
    for (cursor.seek(nid); cursor.next();) {
      if (cursor.fileType === FT_DIR && !seen.has(cursor.nid)) {
        seen.add(cursor.nid);
        directories.push(cursor.nid);
      }
      if (cursor.fileType !== FT_REG_FILE) continue;
      if (!finder.find(inodes.read(cursor.nid, inode))) continue;
      collector ??= new ObjectCollector(finder.size);
      collector.add(inodes.bytes, finder.at, inode.size, cursor.nid);
    }
  }
  return (collector ?? new ObjectCollector(32)).table();
}
