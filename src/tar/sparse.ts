/**
 * PAX sparse files: GNU formats 0.0 and 0.1 (map in the extended header) and 1.0 (map in front of
 * the stored content), checked and expanded.
 *
 * Spec: docs/profiles.md, "Sparse files"; GNU tar manual, "Storing Sparse Files".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ContentSink } from "./entry.ts";
import { BLOCK_SIZE } from "./header.ts";
import type { PaxSparse } from "./pax-sparse.ts";

/** Offset and length of each stored segment, alternately, ascending. */
export type SparseMap = readonly number[];

/**
 * Whether the map stands in front of the content (version 1.0) or in the records (0.0, 0.1).
 *
 * @throws {@link FormatError} `UNSUPPORTED` for another version, `MALFORMED` when a record is
 *   missing
 */
export function sparseVersion(records: PaxSparse): "0" | "1.0" {
  const { major, minor, realSize, map, segmentCount } = records;
  const stated = major !== undefined || minor !== undefined;
  const version = `${major ?? "?"}.${minor ?? "?"}`;
  if (stated && version !== "1.0" && version !== "0.0" && version !== "0.1") {
    throw new FormatError("UNSUPPORTED", `sparse format: expected 0.0, 0.1 or 1.0, got ${version}`);
  }
  if (realSize === undefined) {
    throw new FormatError("MALFORMED", "sparse records: expected the file's size, got none");
  }
  if (version === "1.0") {
    if (map !== undefined || segmentCount !== undefined) {
      throw new FormatError(
        "AMBIGUOUS",
        "sparse format 1.0: expected the map in the content only, got one in the records",
      );
    }
    return "1.0";
  }
  // An entirely empty file may come without a map, as nothing of it is stored.
  const count = (map?.length ?? 0) / 2;
  if (segmentCount !== undefined && segmentCount !== count) {
    throw new FormatError(
      "MALFORMED",
      `sparse map: expected ${segmentCount} segments as counted, got ${count}`,
    );
  }
  if (segmentCount === undefined) {
    throw new FormatError("MALFORMED", "sparse records: expected the number of segments, got none");
  }
  return "0";
}

/**
 * @throws {@link FormatError} `MALFORMED` unless the segments ascend without overlap inside
 *   `realSize` and add up to `storedSize`
 */
export function checkSparseMap(map: SparseMap, realSize: number, storedSize: number): void {
  let end = 0;
  let stored = 0;
  for (let i = 0; i < map.length; i += 2) {
    const offset = map[i]!;
    const length = map[i + 1]!;
    if (offset < end || length > realSize - offset) {
      throw new FormatError(
        "MALFORMED",
        `sparse segment ${i / 2}: expected bytes from ${end} to ${realSize}, ` +
          `got ${length} bytes at ${offset}`,
      );
    }
    end = offset + length;
    stored += length;
  }
  if (stored !== storedSize) {
    throw new FormatError(
      "MALFORMED",
      `sparse map: expected ${storedSize} bytes in segments as stored, got ${stored}`,
    );
  }
}

/**
 * Reads the map of format 1.0: decimal lines (count, then offset and length), padded to a block.
 */
export class SparseMapReader {
  readonly map: number[] = [];
  #value = 0;
  #digits = 0;
  #expected = 0; // numbers after the count, once that is known
  #counted = false;
  #bytes = 0;

  /** Whether the last byte of the map's last block has been read. */
  get done(): boolean {
    return this.#complete && this.#bytes % BLOCK_SIZE === 0;
  }

  /** Bytes of the content that the map takes, padding included, so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get #complete(): boolean {
    return this.#counted && this.map.length === this.#expected;
  }

  /**
   * Takes bytes from `start` on, at most up to `end`; returns where it stopped.
   *
   * @throws {@link FormatError} `MALFORMED`, `LIMIT`
   */
  read(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    for (; at < end && !this.done; at++) {
      this.#bytes++;
      if (!this.#complete) this.#take(chunk[at]!);
    }
    return at;
  }

  #take(byte: number): void {
    if (byte >= 0x30 && byte <= 0x39) {
      this.#value = this.#value * 10 + byte - 0x30;
      // Also stops a number of nothing but zeros.
      if (++this.#digits <= 16 && this.#value <= Number.MAX_SAFE_INTEGER) return;
    } else if (byte === 0x0a && this.#digits > 0) {
      this.#add(this.#value);
      this.#value = 0;
      this.#digits = 0;
      return;
    }
    throw new FormatError(
      "MALFORMED",
      `sparse map at byte ${this.#bytes - 1}: expected decimal numbers in lines, got byte ${byte}`,
    );
  }

  #add(value: number): void {
    if (this.#counted) {
      this.map.push(value);
      return;
    }
    if (value > limits.sparseSegments) {
      throw new FormatError(
        "LIMIT",
        `sparse map: expected at most ${limits.sparseSegments} segments, got ${value}`,
      );
    }
    this.#counted = true;
    this.#expected = 2 * value;
  }
}

const zeros = new Uint8Array(64 * 1024);

/** Passes stored segments on to `sink` with zeros for the holes between them. */
export class SparseSink implements ContentSink {
  readonly #sink: ContentSink;
  readonly #map: SparseMap;
  readonly #realSize: number;
  #segment = 0; // index into the map
  #position = 0; // in the expanded file

  constructor(sink: ContentSink, map: SparseMap, realSize: number) {
    this.#sink = sink;
    this.#map = map;
    this.#realSize = realSize;
  }

  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const offset = this.#map[this.#segment]!;
      const end = offset + this.#map[this.#segment + 1]!;
      if (this.#position < offset) this.#fill(offset);
      const length = Math.min(chunk.length - at, end - this.#position);
      if (length > 0) this.#sink.write(chunk.subarray(at, at + length));
      this.#position += length;
      at += length;
      if (this.#position === end) this.#segment += 2;
    }
  }

  end(): void {
    this.#fill(this.#realSize);
    this.#sink.end();
  }

  #fill(end: number): void {
    while (this.#position < end) {
      const length = Math.min(zeros.length, end - this.#position);
      this.#sink.write(zeros.subarray(0, length));
      this.#position += length;
    }
  }
}
