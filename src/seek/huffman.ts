/**
 * Huffman codes of deflate: tables that give symbol and length of the next code.
 * Spec: RFC 1951, section 3.2.2.
 *
 * @module
 */

/** Bits of the longest code. */
export const MAX_CODE_BITS = 15;

/**
 * A code of up to `symbols` symbols, decoded by the next `bits` bits: an entry is
 * `symbol << 4 | length`, or 0 for codes that are longer (see {@link decodeLong}) or do not exist.
 */
export class HuffmanTable {
  readonly bits: number;
  readonly mask: number;
  readonly entries: Uint16Array;
  /** Codes of each length, and their symbols in order of the codes. */
  readonly #counts = new Uint16Array(MAX_CODE_BITS + 1);
  readonly #symbols: Uint16Array;
  readonly #offsets = new Uint16Array(MAX_CODE_BITS + 2);

  constructor(symbols: number, bits: number) {
    this.bits = bits;
    this.mask = (1 << bits) - 1;
    this.entries = new Uint16Array(1 << bits);
    this.#symbols = new Uint16Array(symbols);
  }

  /**
   * Takes the lengths of the codes of the symbols 0 to `count - 1`, from `at` on; false when they make
   * no code that zlib accepts: more codes than there is room for, or fewer, except for a single one.
   */
  build(lengths: Uint8Array, at: number, count: number, allowSingle: boolean): boolean {
    const counts = this.#counts.fill(0);
    for (let i = 0; i < count; i++) counts[lengths[at + i]!]!++;
    const used = count - counts[0]!;
    counts[0] = 0;
    let left = 1;
    let longest = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      left = 2 * left - counts[length]!;
      if (left < 0) return false;
      if (counts[length]! > 0) longest = length;
    }
    if (left > 0 && !(allowSingle && used <= 1 && longest <= 1)) return false;
    const offsets = this.#offsets.fill(0);
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      offsets[length + 1] = offsets[length]! + counts[length]!;
    }
    for (let symbol = 0; symbol < count; symbol++) {
      const length = lengths[at + symbol]!;
      if (length > 0) this.#symbols[offsets[length]!++] = symbol;
    }
    this.#fill(left > 0);
    return true;
  }

  /** The symbol of a code longer than the table's bits, as {@link entries}; 0 when there is none. */
  decodeLong(hold: number): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      code |= (hold >>> (length - 1)) & 1;
      const count = this.#counts[length]!;
      if (code - count < first) return (this.#symbols[index + code - first]! << 4) | length;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return 0;
  }

  #fill(incomplete: boolean): void {
    const { bits, entries } = this;
    // Only a code with room left, or one with codes longer than the table, leaves entries out.
    if (incomplete || this.#longerThan(bits)) entries.fill(0);
    const size = 1 << bits;
    let code = 0;
    let index = 0;
    for (let length = 1; length <= bits; length++) {
      for (let n = this.#counts[length]!; n > 0; n--) {
        const entry = (this.#symbols[index++]! << 4) | length;
        const step = 1 << length;
        for (let i = reversed(code, length); i < size; i += step) entries[i] = entry;
        code++;
      }
      code <<= 1;
    }
  }

  #longerThan(bits: number): boolean {
    for (let length = bits + 1; length <= MAX_CODE_BITS; length++) {
      if (this.#counts[length]! > 0) return true;
    }
    return false;
  }
}

const reversedBytes = Uint8Array.from({ length: 256 }, (_, byte) => {
  let out = 0;
  for (let bit = 0; bit < 8; bit++) out |= ((byte >> bit) & 1) << (7 - bit);
  return out;
});

/** The lowest `length` bits of `code` in the opposite order: deflate packs codes from their top. */
function reversed(code: number, length: number): number {
  return ((reversedBytes[code & 0xff]! << 8) | reversedBytes[code >> 8]!) >> (16 - length);
}
