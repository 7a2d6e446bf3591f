// What the tortured image holds, and random choices that can be repeated.
import { createHash } from "node:crypto";

const sizes = [
  ...Array.from({ length: 24 }, (_, i) => 500 + i * 2500),
  ...Array.from({ length: 8 }, (_, i) => 200_000 + i * 110_000),
  4_000_000,
  6_500_001,
  9_000_000,
];

/** The files, by name and size. */
export const files = sizes.map((size, i) => ({ name: `file${i}`, size }));

const kept = new Map();

/** The signed content of a file; every block of it is another one. */
export function contentOf({ name, size }) {
  let content = kept.get(name);
  if (content === undefined) {
    content = Buffer.alloc(size);
    for (let from = 0; from < size; from += 4096) {
      createHash("sha512").update(`${name} ${from}`).digest().copy(content, from);
      content.fill(content.subarray(from, from + 64), from, Math.min(from + 4096, size));
    }
    kept.set(name, content);
  }
  return content;
}

/** Numbers from 0 to before 1 (xorshift). */
export function randomFrom(seed) {
  let state = createHash("sha256").update(seed).digest().readUInt32LE() | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
