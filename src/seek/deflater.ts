/**
 * A compressor whose output is the same on every machine and with every version of Node: zlib's
 * differs between processors, and the digest of an index is signed. Made for some hundred kilobytes
 * of short pieces (`matcher.ts`).
 *
 * Spec: RFC 1951.
 *
 * @module
 */
import { BitWriter, ITEM_VALUE } from "./bit-writer.ts";
import { CodesHeader, type Lengths } from "./codes-header.ts";
import {
  DYNAMIC,
  END_OF_BLOCK,
  FINAL_BITS,
  FIRST_LENGTH,
  FIXED,
  MOST_STORED_BYTES,
  STORED,
  STORED_HEADER_BYTES,
  TYPE_BITS,
  distanceBase,
  distanceExtra,
  fixedLengths,
  lengthBase,
  lengthExtra,
} from "./deflate-format.ts";
import { MAX_CODE_BITS, codeLengths, codesOf } from "./huffman.ts";
import {
  BLOCK_TOKENS,
  Matcher,
  TOKEN_DISTANCE,
  TOKEN_LENGTH,
  distanceSymbols,
  lengthSymbols,
} from "./matcher.ts";

/** Bytes of a block beside its data, at most: it is stored then, with room to align. */
const BLOCK_EXTRA_BYTES = 16;
/** Bytes that a stored block takes beside its data. */
const STORED_EXTRA_BYTES = STORED_HEADER_BYTES + 1;
const STORED_LENGTH_BITS = 16;
/** Items written for a match: two codes, each with its further bits. */
const MATCH_ITEMS = 4;

/** The bytes as a raw deflate stream; never much longer than they are. */
export function deflate(bytes: Uint8Array): Uint8Array {
  const blocks = Math.ceil(bytes.length / BLOCK_TOKENS) + 1;
  const writer = new BitWriter(bytes.length + BLOCK_EXTRA_BYTES * blocks);
  const matcher = new Matcher(bytes);
  for (let start = 0; ;) {
    matcher.run();
    const isLast = matcher.at === bytes.length;
    writeBlock(writer, matcher, bytes.subarray(start, matcher.at), isLast);
    if (isLast) return writer.finish();
    start = matcher.at;
  }
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
  const storedBlocks = Math.ceil(bytes.length / MOST_STORED_BYTES);
  const storedBits = (bytes.length + STORED_EXTRA_BYTES * storedBlocks) * 8;
  if (bytes.length > 0 && storedBits <= Math.min(dynamicBits, fixedBits)) {
    writeStored(writer, bytes, isLast);
    return;
  }
  const isOwn = dynamicBits < fixedBits;
  writer.add(isLast ? 1 : 0, FINAL_BITS);
  writer.add(isOwn ? DYNAMIC : FIXED, TYPE_BITS);
  if (isOwn) header.write(writer);
  writeData(writer, matcher, isOwn ? own : fixedLengths);
}

function writeStored(writer: BitWriter, bytes: Uint8Array, isLast: boolean): void {
  for (let start = 0; start < bytes.length; start += MOST_STORED_BYTES) {
    const part = bytes.subarray(start, start + MOST_STORED_BYTES);
    writer.add(isLast && start + part.length === bytes.length ? 1 : 0, FINAL_BITS);
    writer.add(STORED, TYPE_BITS);
    writer.align();
    writer.add(part.length, STORED_LENGTH_BITS);
    writer.add(part.length ^ MOST_STORED_BYTES, STORED_LENGTH_BITS);
    writer.addBytes(part);
  }
}

/** Bits of a block's data. */
function dataBits(matcher: Matcher, lengths: Lengths): number {
  let bits = 0;
  for (const [symbol, count] of matcher.literals.entries()) {
    bits += count * (lengths.literals[symbol]! + (lengthExtra[symbol - FIRST_LENGTH] ?? 0));
  }
  for (const [symbol, count] of matcher.distances.entries()) {
    bits += count * (lengths.distances[symbol]! + distanceExtra[symbol]!);
  }
  return bits;
}

function writeData(writer: BitWriter, { tokens, count }: Matcher, lengths: Lengths): void {
  const literals = itemsOf(lengths.literals);
  const distances = itemsOf(lengths.distances);
  const items = new Uint32Array(MATCH_ITEMS * count + 1);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const token = tokens[i]!;
    const distance = token >>> TOKEN_DISTANCE;
    if (distance === 0) {
      items[end++] = literals[token]!;
      continue;
    }
    const length = token & TOKEN_LENGTH;
    const near = lengthSymbols[length]!;
    const far = distanceSymbols[distance]!;
    items[end] = literals[FIRST_LENGTH + near]!;
    items[end + 1] = ((length - lengthBase[near]!) << ITEM_VALUE) | lengthExtra[near]!;
    items[end + 2] = distances[far]!;
    items[end + 3] = ((distance - distanceBase[far]!) << ITEM_VALUE) | distanceExtra[far]!;
    end += MATCH_ITEMS;
  }
  items[end++] = literals[END_OF_BLOCK]!;
  writer.addAll(items, end);
}

/** What to write for each symbol (see {@link BitWriter.addAll}). */
function itemsOf(lengths: Uint8Array): Uint32Array {
  const codes = codesOf(lengths);
  return Uint32Array.from(lengths, (length, symbol) => (codes[symbol]! << ITEM_VALUE) | length);
}
