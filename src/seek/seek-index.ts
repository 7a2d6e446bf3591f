/**
 * Reading a seek index. It is not trusted: a wrong one leads to bytes whose digest is not the
 * object's. The limits here keep a hostile one from taking memory or time.
 *
 * Spec: docs/seek-index.md, "File layout" and "What a reader refuses".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { MAGIC, SeekHeader, SeekLayerRecord, VERSION, compressions } from "./format.ts";
import { inflateExactly } from "./inflater.ts";
import type { SeekLayer } from "./layer.ts";
import type { ObjectPlace } from "./place.ts";
import { PlaceTable } from "./place-table.ts";
import type { Places } from "./read-plan.ts";
import { PointTable } from "./point-table.ts";

/** Bytes that a point takes when it is not compressed. */
const MIN_POINT_BYTES = 2;
const MAX_POINT_BYTES = 36;

/** What an index says about a layer; see {@link SeekLayer}. */
export interface IndexLayer extends SeekLayer {
  readonly points: PointTable;
  /** Objects that lie in it. */
  readonly places: number;
  /** Bytes of the index that its access points take. */
  readonly indexBytes: number;
}

interface Head {
  readonly layers: readonly IndexLayer[];
  readonly places: { readonly bytes: Uint8Array; readonly plainBytes: number };
  readonly objects: number;
}

/** An index for the objects of one image. */
export class SeekIndex implements Places {
  readonly layers: readonly IndexLayer[];
  /** Bytes of the file. */
  readonly size: number;
  readonly #places: PlaceTable;

  private constructor(head: Head, places: PlaceTable, size: number) {
    this.layers = head.layers;
    this.#places = places;
    this.size = size;
  }

  /**
   * Reads an index. `bytes` must not change afterwards.
   *
   * @param objects all that the image refers to, with their sizes
   * @throws {@link FormatError} when it breaks the format, is about another number of objects, or
   *   `LIMIT`
   */
  static parse(bytes: Uint8Array, objects: ReadonlyMap<VerityDigest, number>): SeekIndex {
    const head = readHead(bytes);
    if (head.objects !== objects.size) {
      const message = `expected one for ${objects.size} objects, got one for ${head.objects}`;
      throw new FormatError("MALFORMED", `seek index: ${message}`);
    }
    const plain = inflateExactly(head.places.bytes, head.places.plainBytes);
    return new SeekIndex(head, new PlaceTable(plain, objects, head.layers), bytes.length);
  }

  place(digest: VerityDigest): ObjectPlace | undefined {
    return this.#places.get(digest);
  }

  /** Every object that the index knows, by layer and position. */
  digests(): readonly VerityDigest[] {
    return this.#places.digests();
  }
}

/**
 * What an index says about its layers: for those who do not have the image.
 *
 * @throws {@link FormatError}
 */
export function readSeekLayers(bytes: Uint8Array): readonly IndexLayer[] {
  return readHead(bytes).layers;
}

function readHead(bytes: Uint8Array): Head {
  if (bytes.length > limits.seekIndexBytes)
    throw tooMuch("bytes", limits.seekIndexBytes, bytes.length);
  const header = SeekHeader.decode(bytes);
  if (header.magic.some((byte, i) => byte !== MAGIC[i])) {
    throw new FormatError("BAD_MAGIC", "seek index: expected its magic number, got another");
  }
  if (header.version !== VERSION) {
    const message = `expected version ${VERSION}, got ${header.version}`;
    throw new FormatError("UNSUPPORTED", `seek index: ${message}`);
  }
  if (header.layers > limits.layers) throw tooMuch("layers", limits.layers, header.layers);
  if (header.objects > limits.inodes) throw tooMuch("objects", limits.inodes, header.objects);
  if (header.placesPlainBytes > limits.seekPlacesBytes) {
    throw tooMuch("bytes of places", limits.seekPlacesBytes, header.placesPlainBytes);
  }
  const cursor = new Cursor(bytes, SeekHeader.size + header.layers * SeekLayerRecord.size);
  const places = cursor.take(header.placesBytes);
  const layers: IndexLayer[] = [];
  let points = 0;
  for (let number = 0; number < header.layers; number++) {
    const record = SeekLayerRecord.decode(bytes, SeekHeader.size + number * SeekLayerRecord.size);
    points += record.points;
    if (points > limits.seekPoints) throw tooMuch("access points", limits.seekPoints, points);
    layers.push(readLayer(record, number, cursor));
  }
  cursor.end();
  return {
    layers,
    places: { bytes: places, plainBytes: header.placesPlainBytes },
    objects: header.objects,
  };
}

function readLayer(
  record: ReturnType<typeof SeekLayerRecord.decode>,
  number: number,
  cursor: Cursor,
): IndexLayer {
  const what = `seek index: layer ${number + 1}`;
  const compression = compressions[record.compression];
  const digestBytes = [0, 32, 64][record.digestAlgorithm];
  if (compression === undefined || digestBytes === undefined || digestBytes === 0) {
    throw new FormatError("UNSUPPORTED", `${what}: unknown compression or digest`);
  }
  const size = sizeOf(record.size, what);
  const bytes = sizeOf(record.bytes, what);
  if (compression === "none" ? size !== bytes || record.points > 0 : record.points === 0) {
    throw new FormatError("MALFORMED", `${what}: ${record.points} access points, ${compression}`);
  }
  if (record.pointsPlainBytes > record.points * MAX_POINT_BYTES) {
    throw tooMuch(
      "bytes of access points",
      record.points * MAX_POINT_BYTES,
      record.pointsPlainBytes,
    );
  }
  if (record.pointsPlainBytes < record.points * MIN_POINT_BYTES) {
    throw new FormatError("MALFORMED", `${what}: ${record.points} access points in too few bytes`);
  }
  const packed = cursor.take(record.pointsBytes);
  const windows = cursor.take(sizeOf(record.windowsBytes, what));
  const points = new PointTable({
    plain: record.points === 0 ? packed : inflateExactly(packed, record.pointsPlainBytes),
    windows,
    count: record.points,
    compression,
    size,
    bytes,
    what,
  });
  const hex = Array.from(record.digest.subarray(0, digestBytes), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return {
    number,
    digest: `sha${digestBytes * 8}:${hex}`,
    compression,
    size,
    bytes,
    points,
    seekable: compression !== "zstd" || record.points > 1,
    places: record.places,
    indexBytes: SeekLayerRecord.size + packed.length + windows.length,
  };
}

/** Bytes of a layer, in either form. */
function sizeOf(value: bigint, what: string): number {
  if (value <= BigInt(limits.layerBytes)) return Number(value);
  throw tooMuch(`bytes (${what})`, limits.layerBytes, value);
}

function tooMuch(what: string, most: number, got: number | bigint): FormatError {
  return new FormatError("LIMIT", `seek index: expected at most ${most} ${what}, got ${got}`);
}

/** What comes after the fixed part, piece by piece. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      const message = `expected ${length} bytes at ${this.#at}, got ${this.#bytes.length - this.#at}`;
      throw new FormatError("TRUNCATED", `seek index: ${message}`);
    }
    const piece = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return piece;
  }

  end(): void {
    if (this.#at === this.#bytes.length) return;
    throw new FormatError("MALFORMED", `seek index: data after its end at ${this.#at}`);
  }
}
