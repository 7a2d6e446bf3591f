/**
 * Bits into bytes as deflate packs them, the lowest first.
 *
 * Spec: RFC 1951, section 3.1.1.
 *
 * @module
 */

/** Bits to be written as one number: a value from here on, below it how many bits of it count. */
export const ITEM_VALUE = 16;
const ITEM_COUNT = 31;

export class BitWriter {
  readonly #bytes: Uint8Array;
  #end = 0;
  #hold = 0;
  #held = 0;

  /** @param size bytes that are written at most */
  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  /** Adds the lowest `count` bits of `value`, which has no others; up to 16. */
  add(value: number, count: number): void {
    this.#hold |= value << this.#held;
    this.#held += count;
    while (this.#held >= 8) this.#shift();
  }

  /** Adds the first `count` of many, each as {@link ITEM_VALUE} says. */
  addAll(items: Uint32Array, count: number): void {
    const bytes = this.#bytes;
    let end = this.#end;
    let hold = this.#hold;
    let held = this.#held;
    for (let i = 0; i < count; i++) {
      const item = items[i]!;
      hold |= (item >>> ITEM_VALUE) << held;
      held += item & ITEM_COUNT;
      if (held < 16) continue;
      bytes[end] = hold;
      bytes[end + 1] = hold >>> 8;
      end += 2;
      hold >>>= 16;
      held -= 16;
    }
    this.#end = end;
    this.#hold = hold;
    this.#held = held;
    while (this.#held >= 8) this.#shift();
  }

  #shift(): void {
    this.#bytes[this.#end++] = this.#hold;
    this.#hold >>>= 8;
    this.#held -= 8;
  }

  /** Goes on at the start of a byte. */
  align(): void {
    if (this.#held > 0) this.add(0, 8 - this.#held);
  }

  /** Adds bytes, from the start of a byte on. */
  addBytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** All that was added. */
  finish(): Uint8Array {
    this.align();
    return this.#bytes.subarray(0, this.#end);
  }
}
