/**
 * Huffman codes of deflate: tables that decode the next code, and the construction of codes.
 * Spec: RFC 1951, section 3.2.2.
 *
 * @module
 */

/** Bits of the longest code. */
export const MAX_CODE_BITS = 15;
const MAX_SYMBOLS = 288;

/**
 * What a table gives for the next bits, or 0 when they are not a code: how many bits the code has
 * ({@link ENTRY_WIDTH} is their mask) and how many that belong to it follow (from {@link ENTRY_FURTHER}
 * on, with the same mask), {@link ENTRY_MATCH}, and from {@link ENTRY_VALUE} on what it stands for.
 */
export const ENTRY_WIDTH = 15;
export const ENTRY_FURTHER = 4;
export const ENTRY_MATCH = 0x100;
export const ENTRY_VALUE = 9;

/** A code whose next symbol is looked up by the next `bits` bits. */
export class HuffmanTable {
  readonly mask: number;
  /** For codes that are longer than the table's bits, 0: see {@link decodeLong}. */
  readonly entries: Int32Array;
  readonly #bits: number;
  readonly #meanings: Int32Array;
  /** Codes of each length, and their symbols in order of the codes. */
  readonly #counts = new Uint16Array(MAX_CODE_BITS + 1);
  readonly #symbols: Uint16Array;
  readonly #offsets = new Uint16Array(MAX_CODE_BITS + 2);

  /** @param meanings entries without the code's bits, of each symbol that may be */
  constructor(meanings: Int32Array, bits: number) {
    this.#bits = bits;
    this.mask = (1 << bits) - 1;
    this.entries = new Int32Array(1 << bits);
    this.#meanings = meanings;
    this.#symbols = new Uint16Array(MAX_SYMBOLS);
  }

  /**
   * Takes the lengths of the codes of the symbols 0 to `count - 1`, from `at` on; false when they do
   * not make a code that zlib accepts: more codes than fit, or fewer, except for a single one.
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
    this.#fill(left > 0 || longest > this.#bits);
    return true;
  }

  /** The entry of a code longer than the table's bits; 0 when there is none. */
  decodeLong(hold: number): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      code |= (hold >>> (length - 1)) & 1;
      const count = this.#counts[length]!;
      if (code - count < first) return this.#entry(this.#symbols[index + code - first]!, length);
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return 0;
  }

  #entry(symbol: number, length: number): number {
    return symbol < this.#meanings.length ? this.#meanings[symbol]! | length : 0;
  }

  /** @param sparse whether a code leaves entries out: one with room left, or with long codes */
  #fill(sparse: boolean): void {
    const entries = this.entries;
    if (sparse) entries.fill(0);
    const size = entries.length;
    let code = 0;
    let index = 0;
    for (let length = 1; length <= this.#bits; length++) {
      for (let n = this.#counts[length]!; n > 0; n--) {
        const entry = this.#entry(this.#symbols[index++]!, length);
        const step = 1 << length;
        for (let i = reversed(code, length); i < size; i += step) entries[i] = entry;
        code++;
      }
      code <<= 1;
    }
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

/** The code of each symbol, its first bit lowest. */
export function codesOf(lengths: Uint8Array): Uint16Array {
  const next = new Uint16Array(MAX_CODE_BITS + 2);
  for (const length of lengths) if (length > 0) next[length + 1]!++;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    next[length + 1] = (next[length]! + next[length + 1]!) << 1;
  }
  return Uint16Array.from(lengths, (length) =>
    length > 0 ? reversed(next[length]!++, length) : 0,
  );
}

/**
 * The lengths of a code of at most `limit` bits for symbols with these counts: the shortest code, or
 * nearly the shortest when the limit binds. At least two symbols have a code.
 */
export function codeLengths(counts: Uint32Array, limit: number): Uint8Array {
  // Symbols by count; of those that do not occur, only as many as are needed to make two.
  const order = Array.from(counts.keys()).filter((symbol) => counts[symbol]! > 0);
  for (let symbol = 0; order.length < 2; symbol++) if (counts[symbol] === 0) order.push(symbol);
  order.sort((a, b) => counts[a]! - counts[b]! || a - b);
  const perLength = new Uint32Array(limit + 1);
  for (const depth of depthsOf(order.map((symbol) => counts[symbol]!))) {
    perLength[Math.min(depth, limit)]!++;
  }
  makeRoom(perLength, limit);
  const lengths = new Uint8Array(counts.length);
  let at = 0;
  for (let length = limit; length > 0; length--) {
    for (let n = perLength[length]!; n > 0; n--) lengths[order[at++]!] = length;
  }
  return lengths;
}

/** How deep each leaf of Huffman's tree lies; their weights ascend. */
function depthsOf(weights: readonly number[]): Uint32Array {
  const leaves = weights.length;
  const all = Float64Array.from({ length: 2 * leaves - 1 }, (_, i) => weights[i] ?? 0);
  const parents = new Uint32Array(all.length);
  let leaf = 0;
  let inner = leaves; // they come into being in ascending order
  for (let node = leaves; node < all.length; node++) {
    for (let child = 0; child < 2; child++) {
      const isLeaf = leaf < leaves && (inner === node || all[leaf]! <= all[inner]!);
      const least = isLeaf ? leaf++ : inner++;
      all[node]! += all[least]!;
      parents[least] = node;
    }
  }
  const depths = new Uint32Array(all.length);
  for (let node = all.length - 2; node >= 0; node--) depths[node] = depths[parents[node]!]! + 1;
  return depths.subarray(0, leaves);
}

/** Codes that were cut to the limit take up too much of the code space: others are made longer. */
function makeRoom(perLength: Uint32Array, limit: number): void {
  let room = 2 ** limit;
  for (let length = 1; length <= limit; length++)
    room -= perLength[length]! * 2 ** (limit - length);
  for (; room < 0; room++) {
    let length = limit - 1;
    while (perLength[length] === 0) length--;
    // One of this length becomes two of the next: for itself, and for one of the longest.
    perLength[length]!--;
    perLength[length + 1]! += 2;
    perLength[limit]!--;
  }
}
