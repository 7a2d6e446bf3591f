/** Compressed bytes for a decoder, in pieces. @module */
import type { DecoderInput } from "../../src/oci/codec/zlib-handle.ts";
import { pieces } from "./invariant.ts";

export class FuzzInput implements DecoderInput {
  readonly #bytes: Uint8Array;
  taken = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get atEnd(): boolean {
    return this.taken === this.size;
  }

  *chunks(): Generator<Uint8Array, void> {
    for (const piece of pieces(this.#bytes)) {
      this.taken += piece.length;
      yield Uint8Array.from(piece);
    }
  }
}

export const MOST_BYTES = 4 * 1024 * 1024;

/** The output up to a bound. */
export function bounded(chunks: Iterable<Uint8Array>): Buffer | "too much" {
  const parts: Buffer[] = [];
  let size = 0;
  for (const chunk of chunks) {
    size += chunk.length;
    if (size > MOST_BYTES) return "too much";
    parts.push(Buffer.from(chunk)); // a copy
  }
  return Buffer.concat(parts);
}
