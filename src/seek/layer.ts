/**
 * Layers as a seek index describes them: blobs with points from which decompression can start.
 *
 * @module
 */

/** How the blob of a layer is compressed. */
export type SeekCompression = "none" | "gzip" | "zstd";

/** A layer's blob. Everything here is as untrusted as the index that says it. */
export interface SeekLayer {
  /** Position among the layers of the image, the lowest first. */
  readonly number: number;
  /** Digest of the blob: `sha256:…` or `sha512:…`. */
  readonly digest: string;
  readonly compression: SeekCompression;
  /** Bytes of the blob. */
  readonly size: number;
  /** Bytes of the uncompressed layer. */
  readonly bytes: number;
  readonly points: AccessPoints;
  /** Whether a part can be had without everything before it. */
  readonly seekable: boolean;
}

/**
 * Where decompression can start, ascending; the first is at the start of the uncompressed layer. An
 * uncompressed layer has none and needs none.
 */
export interface AccessPoints {
  readonly count: number;
  /**
   * Where the point lies in the blob, in bits: the first bit of a deflate block, or of a zstd frame.
   */
  bit(point: number): number;
  /** Where it lies in the uncompressed layer, in bytes. */
  out(point: number): number;
}

/** The last point at or before `offset` of the uncompressed layer. */
export function pointBefore(points: AccessPoints, offset: number): number {
  let low = 0;
  let high = points.count;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (points.out(middle) <= offset) low = middle;
    else high = middle;
  }
  return low;
}
