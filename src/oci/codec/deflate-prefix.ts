/**
 * Starting zlib in the middle of a byte. A raw inflater takes whole bytes, but a deflate block begins
 * at any bit. So it is given empty blocks first, whose bits together are as many, modulo 8, as those
 * of the first byte that belong to the block before; what follows is left as it is, which keeps stored
 * blocks aligned.
 *
 * Spec: docs/seek-index.md, "Reading an object"; RFC 1951, sections 3.2.6 and 3.2.7.
 *
 * @module
 */

/** Empty blocks that are not the last, each bit by bit. */
const FIXED_BLOCK = "0100000000";
/**
 * One with codes of its own: 93 bits, an odd number, which those with the fixed code never make. The
 * code of code lengths has only 1 (for one bit, 0) and 18 (1): 138 and 118 symbols without a code,
 * then 256 and the only distance with one bit each.
 */
const DYNAMIC_BLOCK =
  "0" +
  "01" +
  "00000" + // HLIT: 257
  "00000" + // HDIST: 1
  "1111" + // HCLEN: 19
  // In the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15.
  "000000100000000000000000000000000000000000000000000100000" +
  "1" +
  "1111111" + // 18: 138 zeros
  "1" +
  "1101011" + // 18: 118 zeros
  "0" + // 256: 1
  "0" + // the distance: 1
  "0"; // 256

/** Bytes to put in front, the last of which is completed by the block's own first bits. */
const prefixes: readonly Uint8Array[] = Array.from({ length: 8 }, (_, phase) => {
  let bits = phase % 2 === 1 ? DYNAMIC_BLOCK : "";
  while (bits.length % 8 !== phase) bits += FIXED_BLOCK;
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (let i = 0; i < bits.length; i++) {
    if (bits[i] === "1") bytes[i >> 3]! |= 1 << (i & 7);
  }
  return bytes;
});

/**
 * The bytes to start a raw inflater with, whose first block begins at bit `phase` of `first`; they
 * stand for that byte.
 */
export function prefixFor(phase: number, first: number): Uint8Array {
  if (phase === 0) return Uint8Array.of(first);
  const bytes = Uint8Array.from(prefixes[phase]!);
  bytes[bytes.length - 1]! |= first & (0xff << phase);
  return bytes;
}
