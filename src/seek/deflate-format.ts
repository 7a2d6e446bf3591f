/**
 * What the deflate format fixes: sizes, symbols, and the codes of blocks that bring none of their own.
 *
 * Spec: RFC 1951, section 3.2.
 *
 * @module
 */

/** The largest distance of a match, and so all that a decoder needs to remember. */
export const WINDOW_BYTES = 32_768;

export const LONGEST_MATCH = 258;

/** Bits of a block's header: the last one's flag, then its type. */
export const FINAL_BITS = 1;
export const TYPE_BITS = 2;
export const BLOCK_HEADER_BITS = FINAL_BITS + TYPE_BITS;
export const TYPE_MASK = (1 << TYPE_BITS) - 1;
export const STORED = 0;
export const FIXED = 1;
export const DYNAMIC = 2;

/** A stored block gives its length twice, the second time inverted. */
export const STORED_HEADER_BYTES = 4;
export const MOST_STORED_BYTES = 0xffff;

export const END_OF_BLOCK = 256;
/** The first symbol that stands for a length. */
export const FIRST_LENGTH = 257;

/** Symbols of a dynamic block's two codes, and of the code of their lengths, at least and at most. */
export const LEAST_LITERALS = 257;
export const MOST_LITERALS = 286;
export const LEAST_DISTANCES = 1;
export const MOST_DISTANCES = 30;
export const LEAST_LENGTHS = 4;
export const MOST_LENGTHS = 19;
/** Bits by which a dynamic block's header gives the three, and each length of the third code. */
export const HLIT_BITS = 5;
export const HDIST_BITS = 5;
export const HCLEN_BITS = 4;
export const LENGTH_BITS = 3;
/** Bits of the longest code of a length: the largest number that its field holds. */
export const MAX_LENGTHS_BITS = (1 << LENGTH_BITS) - 1;

/** Symbols of the code of code lengths beyond the lengths themselves: what they repeat, and how often. */
export const REPEAT_LAST = 16;
export const REPEAT_ZERO = 17;
export const REPEAT_ZERO_LONG = 18;
/** Of each of the three: the shortest run, and by how many bits it may be longer. */
export const repeatLeast = Uint8Array.of(3, 3, 11);
export const repeatBits = Uint8Array.of(2, 3, 7);

/** Symbols 257 to 285: shortest length and further bits. */
// prettier-ignore
export const lengthBase = Uint16Array.of(
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
);
// prettier-ignore
export const lengthExtra = Uint8Array.of(
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
);
/** Symbols 0 to 29: shortest distance and further bits. */
// prettier-ignore
export const distanceBase = Uint16Array.of(
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
);
// prettier-ignore
export const distanceExtra = Uint8Array.of(
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
);

/** In which order a dynamic block gives the lengths of the code of code lengths. */
// prettier-ignore
export const lengthOrder = Uint8Array.of(
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
);

/** Lengths of the codes of blocks that bring none of their own. RFC 1951, section 3.2.6. */
export const fixedLengths = {
  literals: new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280),
  distances: new Uint8Array(32).fill(5),
};
