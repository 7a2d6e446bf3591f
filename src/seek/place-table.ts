/**
 * Where the objects of an image lie, as an index has it.
 *
 * Spec: docs/seek-index.md, "Places".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { storedBytes } from "./encode.ts";
import { BLOCK_BYTES, numberWidth } from "./format.ts";
import type { ObjectPlace } from "./place.ts";
import { VarintReader } from "../bytes/varint.ts";

const WHAT = "seek index: places";

interface LayerPlaces {
  readonly places: number;
  /** Uncompressed. */
  readonly bytes: number;
}

export class PlaceTable {
  readonly #objects: ReadonlyMap<VerityDigest, number>;
  /** Digests in the order of the places, and where each stands in it. */
  readonly #digests: VerityDigest[] = [];
  readonly #order = new Map<VerityDigest, number>();
  readonly #layers: Uint16Array;
  readonly #offsets: Float64Array;
  readonly #segments = new Map<number, readonly number[]>();

  /** @throws {@link FormatError} */
  constructor(
    plain: Uint8Array,
    objects: ReadonlyMap<VerityDigest, number>,
    layers: readonly LayerPlaces[],
  ) {
    const count = layers.reduce((sum, { places }) => sum + places, 0);
    if (count > objects.size) throw malformed(`${count} of them for ${objects.size} objects`);
    this.#objects = objects;
    this.#layers = new Uint16Array(count);
    this.#offsets = new Float64Array(count);
    const reader = new VarintReader(plain, WHAT);
    this.#readNumbers(reader, count);
    const gaps = Float64Array.from({ length: count }, () =>
      reader.read(limits.layerBytes / BLOCK_BYTES),
    );
    this.#readSparse(reader, count);
    reader.end();
    this.#settle(gaps, layers);
  }

  get(digest: VerityDigest): ObjectPlace | undefined {
    const at = this.#order.get(digest);
    if (at === undefined) return undefined;
    const size = this.#objects.get(digest)!;
    const segments = this.#segments.get(at);
    return {
      size,
      layer: this.#layers[at]!,
      offset: this.#offsets[at]!,
      stored: storedBytes(segments, size),
      segments,
    };
  }

  digests(): readonly VerityDigest[] {
    return this.#digests;
  }

  #readNumbers(reader: VarintReader, count: number): void {
    const sorted = [...this.#objects.keys()].sort();
    const width = numberWidth(sorted.length);
    const numbers = reader.take(count * width);
    for (let at = 0; at < count; at++) {
      let number = 0;
      for (let i = width - 1; i >= 0; i--) number = number * 256 + numbers[at * width + i]!;
      const digest = sorted[number];
      if (digest === undefined) throw malformed(`object ${number} of ${sorted.length}`);
      if (this.#order.has(digest)) throw malformed(`object ${number} is there twice`);
      this.#order.set(digest, at);
      this.#digests.push(digest);
    }
  }

  #readSparse(reader: VarintReader, count: number): void {
    let at = 0;
    let total = 0;
    for (let left = reader.read(count); left > 0; left--) {
      const step = reader.read(count);
      at += step;
      if (at >= count || this.#segments.has(at)) throw malformed(`sparse file ${at} of ${count}`);
      const size = this.#objects.get(this.#digests[at]!)!;
      const segments: number[] = [];
      let end = 0;
      const segmentCount = reader.read(limits.sparseSegments);
      total += segmentCount;
      if (total > limits.seekSegments) {
        const message = `expected at most ${limits.seekSegments} segments, got ${total} or more`;
        throw new FormatError("LIMIT", `${WHAT}: ${message}`);
      }
      for (let i = 0; i < segmentCount; i++) {
        const start = end + reader.read(size - end);
        end = start + reader.read(size - start);
        segments.push(start, end - start);
      }
      this.#segments.set(at, segments);
    }
  }

  #settle(gaps: Float64Array, layers: readonly LayerPlaces[]): void {
    let at = 0;
    for (const [number, { places, bytes }] of layers.entries()) {
      let end = 0;
      for (let left = places; left > 0; left--, at++) {
        const offset = (Math.ceil(end / BLOCK_BYTES) + gaps[at]!) * BLOCK_BYTES;
        const size = this.#objects.get(this.#digests[at]!)!;
        end = offset + storedBytes(this.#segments.get(at), size);
        if (end > bytes) throw malformed(`bytes ${offset} to ${end} of a layer of ${bytes}`);
        this.#layers[at] = number;
        this.#offsets[at] = offset;
      }
    }
  }
}

function malformed(message: string): FormatError {
  return new FormatError("MALFORMED", `${WHAT}: ${message}`);
}
