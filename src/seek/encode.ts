/**
 * Writing a seek index.
 *
 * Spec: docs/seek-index.md, "File layout".
 *
 * @module
 */
import type { VerityDigest } from "../verity/verity-digest.ts";
import { deflate } from "./deflater.ts";
import {
  BLOCK_BYTES,
  MAGIC,
  SeekHeader,
  SeekLayerRecord,
  VERSION,
  compressions,
  numberWidth,
} from "./format.ts";
import type { SeekCompression } from "./layer.ts";
import { type WrittenPoints, concatenated } from "./point-writer.ts";
import { VarintWriter } from "../bytes/varint.ts";

/** A layer that has been read. */
export interface IndexedLayer {
  /** Digest of the blob: `sha256:…` or `sha512:…`. */
  readonly digest: string;
  readonly compression: SeekCompression;
  /** Bytes of the blob. */
  readonly size: number;
  /** Bytes of the uncompressed layer. */
  readonly bytes: number;
  readonly points: WrittenPoints;
}

/** Where an object lies; `layer` is the number of one of the layers. */
export interface IndexedPlace {
  readonly digest: VerityDigest;
  readonly layer: number;
  /** In the uncompressed layer: a multiple of 512. */
  readonly offset: number;
  /** Of a sparse file; see `ObjectPlace`. */
  readonly segments?: readonly number[] | undefined;
}

/**
 * The bytes of an index: the same for the same image and layers.
 *
 * @param objects all that the image refers to, with their sizes
 * @param places of some of them, or of all; one for an object
 */
export function encodeSeekIndex(
  objects: ReadonlyMap<VerityDigest, number>,
  layers: readonly IndexedLayer[],
  places: readonly IndexedPlace[],
): Uint8Array {
  const ordered = places.toSorted((a, b) => a.layer - b.layer || a.offset - b.offset);
  const plain = encodePlaces(objects, ordered);
  const packed = deflate(plain);
  const counts = new Uint32Array(layers.length);
  for (const { layer } of ordered) counts[layer]!++;
  const header = SeekHeader.encode({
    magic: MAGIC,
    version: VERSION,
    reserved: 0,
    layers: layers.length,
    objects: objects.size,
    placesBytes: packed.length,
    placesPlainBytes: plain.length,
    reserved2: 0,
  });
  const records = layers.map((layer, number) => encodeLayer(layer, counts[number]!));
  const annexes = layers.flatMap(({ points }) => [points.points, points.windows]);
  return concatenated([header, ...records, packed, ...annexes]);
}

function encodeLayer(layer: IndexedLayer, places: number): Uint8Array {
  const { digest, compression, size, bytes, points } = layer;
  const hex = digest.slice(digest.indexOf(":") + 1);
  return SeekLayerRecord.encode({
    digestAlgorithm: digest.startsWith("sha256:") ? 1 : 2,
    compression: compressions.indexOf(compression),
    reserved: 0,
    places,
    points: points.count,
    pointsBytes: points.points.length,
    pointsPlainBytes: points.pointsPlainBytes,
    reserved2: 0,
    size: BigInt(size),
    bytes: BigInt(bytes),
    windowsBytes: BigInt(points.windows.length),
    digest: Uint8Array.from(hex.match(/../g)!, (pair) => Number.parseInt(pair, 16)),
  });
}

function encodePlaces(
  objects: ReadonlyMap<VerityDigest, number>,
  places: readonly IndexedPlace[],
): Uint8Array {
  const numbers = new Map([...objects.keys()].sort().map((digest, number) => [digest, number]));
  const width = numberWidth(objects.size);
  const writer = new VarintWriter();
  for (const { digest } of places) {
    let rest = numbers.get(digest)!;
    for (let i = 0; i < width; i++) {
      writer.addByte(rest & 0xff);
      rest = Math.floor(rest / 256);
    }
  }
  let end = 0;
  let layer = -1;
  for (const place of places) {
    if (place.layer !== layer) end = 0;
    layer = place.layer;
    if (place.offset % BLOCK_BYTES !== 0) throw new RangeError(`place at ${place.offset}`);
    writer.add(place.offset / BLOCK_BYTES - Math.ceil(end / BLOCK_BYTES));
    end = place.offset + storedBytes(place.segments, objects.get(place.digest)!);
  }
  encodeSparse(places, writer);
  return writer.bytes;
}

function encodeSparse(places: readonly IndexedPlace[], writer: VarintWriter): void {
  const sparse = places.flatMap(({ segments }, at) => (segments ? [{ at, segments }] : []));
  writer.add(sparse.length);
  let last = 0;
  for (const { at, segments } of sparse) {
    writer.add(at - last);
    last = at;
    writer.add(segments.length / 2);
    let end = 0;
    for (let i = 0; i < segments.length; i += 2) {
      writer.add(segments[i]! - end);
      writer.add(segments[i + 1]!);
      end = segments[i]! + segments[i + 1]!;
    }
  }
}

/** How many bytes of a file are stored in the layer. */
export function storedBytes(segments: readonly number[] | undefined, size: number): number {
  if (segments === undefined) return size;
  let stored = 0;
  for (let i = 1; i < segments.length; i += 2) stored += segments[i]!;
  return stored;
}
