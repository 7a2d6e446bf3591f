/**
 * Finds repetitions: it compares the three places where the next four bytes were last seen, and takes
 * the longest match without looking for a better one further on.
 *
 * @module
 */
import {
  END_OF_BLOCK,
  FIRST_LENGTH,
  LONGEST_MATCH,
  MOST_STORED_BYTES,
  WINDOW_BYTES,
  distanceBase,
  lengthBase,
} from "./deflate-format.ts";

const HASH_BITS = 14;
/** Places remembered for a hash; four words each, so that they share a cache line. */
const WAYS = 3;
const SLOT_SHIFT = 2;
const HASH_FACTOR = 0x9e3779b1;
const SHORTEST_MATCH = 4;
/** A match this long is taken without looking for a longer one. */
const LONG_MATCH = 32;
/** Tokens of a block: where nothing repeats each is one byte, and they fit into a stored block. */
export const BLOCK_TOKENS = MOST_STORED_BYTES;

/** A token is a literal, or a match: `distance << TOKEN_DISTANCE | length`. */
export const TOKEN_DISTANCE = 9;
export const TOKEN_LENGTH = (1 << TOKEN_DISTANCE) - 1;

/** The symbol of each match length and of each distance, counted from the first symbol of its kind. */
export const lengthSymbols = symbolsOf(lengthBase, LONGEST_MATCH);
export const distanceSymbols = symbolsOf(distanceBase, WINDOW_BYTES);

function symbolsOf(bases: Uint16Array, last: number): Uint8Array {
  const symbols = new Uint8Array(last + 1);
  for (const [symbol, base] of bases.entries()) symbols.fill(symbol, base);
  return symbols;
}

/** Cuts bytes into literals and matches, a block at a time. */
export class Matcher {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** For each hash of four bytes, one more than the places where it was seen, the last one first. */
  readonly #seen = new Int32Array(1 << (HASH_BITS + SLOT_SHIFT));
  /** The tokens of the block, and how often each symbol occurs in it. */
  readonly tokens: Uint32Array;
  count = 0;
  readonly literals = new Uint32Array(FIRST_LENGTH + lengthBase.length);
  readonly distances = new Uint32Array(distanceBase.length);
  /** Where the next block starts. */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.tokens = new Uint32Array(Math.min(bytes.length, BLOCK_TOKENS));
  }

  /** Makes the tokens of the next block. Hot: one loop. */
  run(): void {
    // As literals: constants of another module would be loaded and checked for every byte.
    const WINDOW: typeof WINDOW_BYTES = 32_768;
    const LONGEST: typeof LONGEST_MATCH = 258;
    const LENGTHS: typeof FIRST_LENGTH = 257;
    const DISTANCE: typeof TOKEN_DISTANCE = 9;
    this.literals.fill(0);
    this.literals[END_OF_BLOCK] = 1;
    this.distances.fill(0);
    const { tokens, literals, distances } = this;
    const bytes = this.#bytes;
    const view = this.#view;
    const seen = this.#seen;
    const last = bytes.length - SHORTEST_MATCH; // where a match may start
    let at = this.at;
    let count = 0;
    while (count < tokens.length && at < bytes.length) {
      let best = SHORTEST_MATCH - 1;
      let distance = 0;
      if (at <= last) {
        const slot = slotOf(view.getUint32(at, true));
        const most = Math.min(LONGEST, bytes.length - at);
        for (let way = 0; way < WAYS; way++) {
          const from = seen[slot + way]! - 1;
          if (from < 0 || at - from > WINDOW) break;
          if (bytes[from + best] !== bytes[at + best]) continue;
          let length = 0;
          while (length < most && bytes[from + length] === bytes[at + length]) length++;
          if (length <= best) continue;
          best = length;
          distance = at - from;
          if (best >= LONG_MATCH || best === most) break;
        }
        remember(seen, slot, at);
      }
      if (distance === 0) {
        const byte = bytes[at++]!;
        tokens[count++] = byte;
        literals[byte]!++;
        continue;
      }
      tokens[count++] = (distance << DISTANCE) | best;
      literals[LENGTHS + lengthSymbols[best]!]!++;
      distances[distanceSymbols[distance]!]!++;
      const end = at + best;
      for (at++; at < end; at++) {
        if (at > last) continue;
        const slot = slotOf(view.getUint32(at, true));
        remember(seen, slot, at);
      }
    }
    this.at = at;
    this.count = count;
  }
}

function slotOf(four: number): number {
  return (Math.imul(four, HASH_FACTOR) >>> (32 - HASH_BITS)) << SLOT_SHIFT;
}

function remember(seen: Int32Array, slot: number, at: number): void {
  seen[slot + 2] = seen[slot + 1]!;
  seen[slot + 1] = seen[slot]!;
  seen[slot] = at + 1;
}
