/**
 * XXH32, for the xattr name filter of EROFS.
 *
 * Spec: xxHash fast digest algorithm, "XXH32 algorithm description".
 *
 * @module
 */
import type { ByteString } from "./bytestring.ts";

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

const rotate = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits));

/** The 32-bit hash of `text` as an unsigned number. */
export function xxh32(text: ByteString, seed = 0): number {
  const byte = (at: number) => text.charCodeAt(at) & 0xff;
  const word = (at: number) =>
    byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
  const round = (lane: number, input: number) =>
    Math.imul(rotate((lane + Math.imul(input, P2)) | 0, 13), P1);

  const { length } = text;
  let at = 0;
  let hash: number;
  if (length >= 16) {
    let [a, b, c, d] = [(seed + P1 + P2) | 0, (seed + P2) | 0, seed | 0, (seed - P1) | 0];
    for (; at <= length - 16; at += 16) {
      a = round(a, word(at));
      b = round(b, word(at + 4));
      c = round(c, word(at + 8));
      d = round(d, word(at + 12));
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  } else {
    hash = (seed + P5) | 0;
  }
  hash = (hash + length) | 0;
  for (; at <= length - 4; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(word(at), P3)) | 0, 17), P4);
  }
  for (; at < length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(byte(at), P5)) | 0, 11), P1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
