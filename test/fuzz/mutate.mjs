/** Inputs made of others by a few small changes. @module */

const NUMBERS = [0, 1, 7, 8, 16, 31, 32, 64, 100, 127, 128, 255, 256, 511, 512, 4095, 4096, 65535];
NUMBERS.push(65536, 0x7fffffff, 0x80000000, 0xffffffff);
const MOST_BYTES = 64 * 1024;

export class Mutator {
  #state;
  #words;
  #unit;

  /** `unit`: bytes of the blocks that the inputs are made of; most pieces are moved whole. */
  constructor(seed, words, unit = 1) {
    this.#state = seed >>> 0 || 1;
    this.#words = words;
    this.#unit = unit;
  }

  below(most) {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % most;
  }

  /** `bytes` changed; `other` gives pieces. */
  mutate(bytes, other) {
    let result = Buffer.from(bytes);
    for (let left = 1 << this.below(4); left > 0; left--) result = this.#once(result, other);
    return result.subarray(0, MOST_BYTES);
  }

  /** Leaves out blocks, or puts in blocks of either input. */
  #move(bytes, other) {
    const unit = this.#unit;
    const place = (length) => unit * this.below(Math.floor(length / unit) + 1);
    const [at, size] = [place(bytes.length), unit * (1 + this.below(3))];
    const from = [Buffer.alloc(0), bytes, other][this.below(3)];
    const start = place(from.length);
    const piece = from.subarray(start, start + size);
    const left = from.length === 0 || this.below(3) === 0 ? at + size : at;
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(left)]);
  }

  #once(bytes, other) {
    const { length } = bytes;
    if (this.#unit > 1 && this.below(4) === 0) return this.#move(bytes, other);
    const at = this.below(length + 1);
    const end = Math.min(length, at + 1 + this.below(this.below(4) === 0 ? 600 : 8));
    const insert = (piece, to = at) =>
      Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(to)]);
    switch (this.below(9)) {
      case 0:
        if (at < length) bytes[at] ^= 1 << this.below(8);
        return bytes;
      case 1:
        if (at < length) bytes[at] = this.below(256);
        return bytes;
      case 2: {
        const width = [1, 2, 4][this.below(3)];
        if (at + width > length) return bytes;
        const number = NUMBERS[this.below(NUMBERS.length)] % 2 ** (8 * width);
        bytes.writeUIntLE(number, at, width);
        return bytes;
      }
      case 3:
        return insert(Buffer.alloc(0), end);
      case 4:
        return insert(bytes.subarray(at, end));
      case 5: {
        const from = this.below(other.length + 1);
        const piece = other.subarray(from, from + 1 + this.below(600));
        return insert(piece, this.below(2) === 0 ? at : Math.min(length, at + piece.length));
      }
      case 6: {
        const word = Buffer.from(this.#words[this.below(this.#words.length)] ?? "");
        return insert(word, this.below(2) === 0 ? at : Math.min(length, at + word.length));
      }
      case 7:
        return insert(Buffer.from(String(NUMBERS[this.below(NUMBERS.length)])));
      default:
        if (at < length) bytes[at] = (bytes[at] + (this.below(2) === 0 ? 1 : 255)) & 255;
        return bytes;
    }
  }
}
