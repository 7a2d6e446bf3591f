/**
 * What a read of an object needs of a layer's blob, so that its cost is known before it is made.
 *
 * Spec: docs/seek-index.md, "Reading an object".
 *
 * @module
 */
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type SeekLayer, pointBefore } from "./layer.ts";
import { type ObjectPlace, type Piece, rangeOf } from "./place.ts";

/** What a plan needs of a seek index. */
export interface Places {
  readonly layers: readonly SeekLayer[];
  /** Where an object lies; undefined when the index does not say. */
  place(digest: VerityDigest): ObjectPlace | undefined;
}

/** Bytes of an object: from `start` up to and without `end`. */
export interface ObjectRange {
  readonly start: number;
  readonly end: number;
}

/** A read of some bytes of an object from its layer. */
export interface ReadPlan {
  readonly layer: SeekLayer;
  /**
   * The bytes of the blob that may be needed; empty when the range is a hole. Decompression may end
   * before all of them are taken.
   */
  readonly blob: { readonly start: number; readonly end: number };
  /** The access point to start from. */
  readonly point: number;
  /** Uncompressed bytes to pass over. */
  readonly skip: number;
  /** Uncompressed bytes that follow and are wanted. */
  readonly length: number;
  /** What the object's range is made of, in order: those bytes, and holes. */
  readonly pieces: readonly Piece[];
}

/**
 * Plans the read of a range of an object, by default of all of it; undefined when the index does not
 * know the object.
 */
export function planRead(
  index: Places,
  digest: VerityDigest,
  range?: ObjectRange,
): ReadPlan | undefined {
  const place = index.place(digest);
  if (place === undefined) return undefined;
  const { start, end } = range ?? { start: 0, end: place.size };
  if (start < 0 || start > end || end > place.size) {
    throw new RangeError(`object ${digest}: bytes ${start} to ${end} of ${place.size}`);
  }
  const { offset, stored, pieces } = rangeOf(place, start, end);
  return { ...planLayer(index.layers[place.layer]!, offset, stored), pieces };
}

/** Plans the read of uncompressed bytes of a layer. */
export function planLayer(
  layer: SeekLayer,
  offset: number,
  length: number,
): Omit<ReadPlan, "pieces"> {
  const { points, size } = layer;
  if (length === 0) return { layer, blob: { start: 0, end: 0 }, point: 0, skip: 0, length };
  const end = offset + length;
  if (layer.compression === "none") {
    return { layer, blob: { start: offset, end }, point: 0, skip: 0, length };
  }
  const point = pointBefore(points, offset);
  const last = pointBefore(points, end - 1) + 1;
  const blob = {
    start: Math.floor(points.bit(point) / 8),
    end: last < points.count ? Math.ceil(points.bit(last) / 8) : size,
  };
  return { layer, blob, point, skip: offset - points.out(point), length };
}
