/**
 * A compressor whose output is the same on every machine and with every version of Node: zlib's
 * differs between processors, and the digest of an index is signed. Made for some hundred kilobytes
 * of short pieces: it looks at the three places where the next four bytes were last seen, and takes
 * the longest match at once.
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import { BitWriter } from "./bit-writer.ts";
import {
  DYNAMIC,
  END_OF_BLOCK,
  FIXED,
  STORED,
  WINDOW_BYTES,
  distanceBase,
  distanceExtra,
  fixedLengths,
  lengthBase,
  lengthExtra,
  lengthOrder,
} from "./deflate-codes.ts";
import { MAX_CODE_BITS, codeLengths, codesOf } from "./huffman.ts";

const HASH_BITS = 14;
/** Places remembered for a hash; four words each, so that they share a cache line. */
const WAYS = 3;
const HASH_FACTOR = 0x9e3779b1;
const SHORTEST_MATCH = 4;
const LONGEST_MATCH = 258;
/** A match so long is taken without looking for a longer one. */
const LONG_MATCH = 32;
/** Of what cannot be compressed, so much fits into a stored block: one token is a byte then. */
const BLOCK_TOKENS = 0xffff;
const STORED_BYTES = 0xffff;
const MAX_LENGTHS_BITS = 7;

/** Of each length of a match and of each distance, the symbol less the first of them. */
const lengthSymbols = symbolsOf(lengthBase, LONGEST_MATCH);
const distanceSymbols = symbolsOf(distanceBase, WINDOW_BYTES);

function symbolsOf(bases: Uint16Array, last: number): Uint8Array {
  const symbols = new Uint8Array(last + 1);
  for (const [symbol, base] of bases.entries()) symbols.fill(symbol, base);
  return symbols;
}

/** The bytes as a raw deflate stream; never much longer than they are. */
export function deflate(bytes: Uint8Array): Uint8Array {
  const blocks = Math.ceil(bytes.length / BLOCK_TOKENS) + 1;
  const writer = new BitWriter(bytes.length + 16 * blocks);
  const matcher = new Matcher(bytes);
  for (let start = 0; ;) {
    matcher.run();
    const isLast = matcher.at === bytes.length;
    writeBlock(writer, matcher, bytes.subarray(start, matcher.at), isLast);
    if (isLast) return writer.finish();
    start = matcher.at;
  }
}

/** Cuts bytes into literals and matches, a block at a time. */
class Matcher {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** For each hash of four bytes, one more than the places where it was seen, the last one first. */
  readonly #seen = new Int32Array(4 << HASH_BITS);
  /** Of the block: literals, and `distance << 9 | length`. */
  readonly tokens: Uint32Array;
  count = 0;
  readonly literals = new Uint32Array(END_OF_BLOCK + 1 + lengthBase.length);
  readonly distances = new Uint32Array(distanceBase.length);
  /** Where the next block starts. */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.tokens = new Uint32Array(Math.min(bytes.length, BLOCK_TOKENS));
  }

  /** Makes the next block of what follows. */
  run(): void {
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
        const most = Math.min(LONGEST_MATCH, bytes.length - at);
        for (let way = 0; way < WAYS; way++) {
          const from = seen[slot + way]! - 1;
          if (from < 0 || at - from > WINDOW_BYTES) break;
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
      tokens[count++] = (distance << 9) | best;
      literals[END_OF_BLOCK + 1 + lengthSymbols[best]!]!++;
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
  return (Math.imul(four, HASH_FACTOR) >>> (32 - HASH_BITS)) << 2;
}

function remember(seen: Int32Array, slot: number, at: number): void {
  seen[slot + 2] = seen[slot + 1]!;
  seen[slot + 1] = seen[slot]!;
  seen[slot] = at + 1;
}

/** The lengths of a block's two codes. */
interface Lengths {
  readonly literals: Uint8Array;
  readonly distances: Uint8Array;
}

/** Writes a block in the form that is shortest. */
function writeBlock(writer: BitWriter, matcher: Matcher, bytes: Uint8Array, isLast: boolean): void {
  const own: Lengths = {
    literals: codeLengths(matcher.literals, MAX_CODE_BITS),
    distances: codeLengths(matcher.distances, MAX_CODE_BITS),
  };
  const header = new CodesHeader(own);
  const dynamicBits = header.bits + dataBits(matcher, own);
  const fixedBits = dataBits(matcher, fixedLengths);
  const storedBits = (bytes.length + 5 * Math.ceil(bytes.length / STORED_BYTES)) * 8;
  if (bytes.length > 0 && storedBits <= Math.min(dynamicBits, fixedBits)) {
    writeStored(writer, bytes, isLast);
    return;
  }
  const isOwn = dynamicBits < fixedBits;
  writer.add(isLast ? 1 : 0, 1);
  writer.add(isOwn ? DYNAMIC : FIXED, 2);
  if (isOwn) header.write(writer);
  writeData(writer, matcher, isOwn ? own : fixedLengths);
}

function writeStored(writer: BitWriter, bytes: Uint8Array, isLast: boolean): void {
  for (let start = 0; start < bytes.length; start += STORED_BYTES) {
    const part = bytes.subarray(start, start + STORED_BYTES);
    writer.add(isLast && start + part.length === bytes.length ? 1 : 0, 1);
    writer.add(STORED, 2);
    writer.align();
    writer.add(part.length, 16);
    writer.add(part.length ^ 0xffff, 16);
    writer.addBytes(part);
  }
}

/** Bits of a block's data. */
function dataBits(matcher: Matcher, lengths: Lengths): number {
  let bits = 0;
  for (const [symbol, count] of matcher.literals.entries()) {
    bits += count * (lengths.literals[symbol]! + (lengthExtra[symbol - END_OF_BLOCK - 1] ?? 0));
  }
  for (const [symbol, count] of matcher.distances.entries()) {
    bits += count * (lengths.distances[symbol]! + distanceExtra[symbol]!);
  }
  return bits;
}

function writeData(writer: BitWriter, { tokens, count }: Matcher, lengths: Lengths): void {
  const literals = itemsOf(lengths.literals);
  const distances = itemsOf(lengths.distances);
  const items = new Uint32Array(4 * count + 1);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const token = tokens[i]!;
    const distance = token >>> 9;
    if (distance === 0) {
      items[end++] = literals[token]!;
      continue;
    }
    const length = token & 511;
    const near = lengthSymbols[length]!;
    const far = distanceSymbols[distance]!;
    items[end] = literals[END_OF_BLOCK + 1 + near]!;
    items[end + 1] = ((length - lengthBase[near]!) << 16) | lengthExtra[near]!;
    items[end + 2] = distances[far]!;
    items[end + 3] = ((distance - distanceBase[far]!) << 16) | distanceExtra[far]!;
    end += 4;
  }
  items[end++] = literals[END_OF_BLOCK]!;
  writer.addAll(items, end);
}

/** What to write for each symbol (see {@link BitWriter.addAll}). */
function itemsOf(lengths: Uint8Array): Uint32Array {
  const codes = codesOf(lengths);
  return Uint32Array.from(lengths, (length, symbol) => (codes[symbol]! << 16) | length);
}

/** How a dynamic block says what its codes are. RFC 1951, section 3.2.7. */
class CodesHeader {
  readonly #literals: number;
  readonly #distances: number;
  /** Symbols of the code of code lengths, each followed by the value of its further bits. */
  readonly #symbols: number[] = [];
  readonly #lengths: Uint8Array;
  readonly #sent: number;
  readonly bits: number;

  constructor({ literals, distances }: Lengths) {
    this.#literals = Math.max(257, literals.findLastIndex((length) => length > 0) + 1);
    this.#distances = distances.findLastIndex((length) => length > 0) + 1;
    this.#shorten([
      ...literals.subarray(0, this.#literals),
      ...distances.subarray(0, this.#distances),
    ]);
    const counts = new Uint32Array(19);
    for (let i = 0; i < this.#symbols.length; i += 2) counts[this.#symbols[i]!]!++;
    this.#lengths = codeLengths(counts, MAX_LENGTHS_BITS);
    this.#sent = Math.max(4, lengthOrder.findLastIndex((symbol) => this.#lengths[symbol]! > 0) + 1);
    let bits = 5 + 5 + 4 + 3 * this.#sent;
    for (const [symbol, count] of counts.entries()) {
      bits += count * (this.#lengths[symbol]! + furtherBits(symbol));
    }
    this.bits = bits;
  }

  write(writer: BitWriter): void {
    writer.add(this.#literals - 257, 5);
    writer.add(this.#distances - 1, 5);
    writer.add(this.#sent - 4, 4);
    for (const symbol of lengthOrder.subarray(0, this.#sent)) writer.add(this.#lengths[symbol]!, 3);
    const codes = codesOf(this.#lengths);
    for (let i = 0; i < this.#symbols.length; i += 2) {
      const symbol = this.#symbols[i]!;
      writer.add(codes[symbol]!, this.#lengths[symbol]!);
      writer.add(this.#symbols[i + 1]!, furtherBits(symbol));
    }
  }

  /** Runs of equal lengths become symbols 16 (of the one before) and 17 and 18 (of zeros). */
  #shorten(lengths: readonly number[]): void {
    for (let at = 0; at < lengths.length;) {
      const length = lengths[at]!;
      let run = 1;
      while (lengths[at + run] === length) run++;
      at += run;
      if (length > 0) {
        this.#symbols.push(length, 0);
        run--;
      }
      while (run >= 3) {
        const most = length > 0 ? 6 : 138;
        const part = Math.min(run, most);
        if (length > 0) this.#symbols.push(16, part - 3);
        else if (part < 11) this.#symbols.push(17, part - 3);
        else this.#symbols.push(18, part - 11);
        run -= part;
      }
      for (; run > 0; run--) this.#symbols.push(length, 0);
    }
  }
}

function furtherBits(symbol: number): number {
  if (symbol < 16) return 0;
  return symbol === 16 ? 2 : symbol === 17 ? 3 : 7;
}
