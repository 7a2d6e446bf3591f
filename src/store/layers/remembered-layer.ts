/**
 * What is remembered of a layer: of its uncompressed content what the next build needs in place of
 * it, and of a blob what a seek index says about it.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { fromText, toBytes } from "../../bytes/bytestring.ts";
import { VarintReader, VarintWriter } from "../../bytes/varint.ts";
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { SeekCompression } from "../../seek/layer.ts";
import type { WrittenPoints } from "../../seek/point-writer.ts";
import type { LayerEntry } from "../../tree/merge.ts";
import { type VerityAlgorithm, verityAlgorithms } from "../../verity/verity-digest.ts";
import { EntryDecoder, EntryEncoder } from "./entry-codec.ts";
import { frame, unframe } from "./layer-file.ts";

/** The uncompressed content of a layer. */
export interface RememberedEntries {
  /** Digest of the uncompressed layer. */
  readonly diffId: string;
  readonly entries: readonly LayerEntry[];
  /** What reading it warned of; with `strict` it would have been refused. */
  readonly warnings: readonly string[];
  /** Uncompressed bytes. */
  readonly bytes: number;
  /** Bytes with sparse files expanded, as the reader compares them with its bound; 0 without any. */
  readonly expanded: number;
}

/** A blob that holds a layer. */
export interface RememberedBlob {
  /** Of its bytes. */
  readonly digest: string;
  readonly size: number;
  /** As its descriptor declared it, and what it was. */
  readonly declared: SeekCompression | undefined;
  readonly compression: SeekCompression;
  /** Of the layer in it, whose uncompressed bytes they are. */
  readonly diffId: string;
  readonly bytes: number;
  readonly points: WrittenPoints;
}

const compressions = ["none", "gzip", "zstd"] as const satisfies SeekCompression[];
const UNDECLARED = compressions.length;
const WHAT = "remembered layer";

/** The file about a layer's content, in parts. */
export function encodeEntries(
  { diffId, entries, warnings, bytes, expanded }: RememberedEntries,
  algorithm: VerityAlgorithm,
): Uint8Array[] {
  const writer = new VarintWriter();
  writer.addString(fromText(diffId));
  writer.add(bytes);
  writer.add(expanded);
  writer.add(warnings.length);
  for (const warning of warnings) writer.addString(fromText(warning));
  writer.add(entries.length);
  const encoder = new EntryEncoder(writer);
  for (const entry of entries) encoder.add(entry);
  return frame({ kind: "entries", algorithm }, writer.bytes);
}

/**
 * What the file says about the layer `diffId`.
 *
 * @throws {@link FormatError} or {@link IntegrityError} when it is not whole, or about another
 */
export function decodeEntries(
  file: Uint8Array,
  diffId: string,
  algorithm: VerityAlgorithm,
): RememberedEntries {
  const reader = new VarintReader(unframe({ kind: "entries", algorithm }, file), WHAT);
  requireAbout(readText(reader), diffId);
  const bytes = reader.read();
  const expanded = reader.read();
  const warnings: string[] = [];
  for (let left = reader.read(limits.inodes); left > 0; left--) warnings.push(readText(reader));
  const entries: LayerEntry[] = [];
  const decoder = new EntryDecoder(reader, verityAlgorithms[algorithm].digestSize);
  for (let left = reader.read(limits.inodes); left > 0; left--) entries.push(decoder.next());
  reader.end();
  return { diffId, entries, warnings, bytes, expanded };
}

/** The file about a blob, in parts. */
export function encodeBlob(blob: RememberedBlob, algorithm: VerityAlgorithm): Uint8Array[] {
  const { declared, points } = blob;
  const writer = new VarintWriter();
  writer.addString(fromText(blob.digest));
  writer.addString(fromText(blob.diffId));
  writer.add(blob.size);
  writer.add(declared === undefined ? UNDECLARED : compressions.indexOf(declared));
  writer.add(compressions.indexOf(blob.compression));
  writer.add(blob.bytes);
  writer.add(points.count);
  writer.add(points.pointsPlainBytes);
  for (const part of [points.points, points.windows]) {
    writer.add(part.length);
    writer.addBytes(part);
  }
  return frame({ kind: "blob", algorithm }, writer.bytes);
}

/** What the file says about the blob `digest`; errors as {@link decodeEntries}. */
export function decodeBlob(
  file: Uint8Array,
  digest: string,
  algorithm: VerityAlgorithm,
): RememberedBlob {
  const reader = new VarintReader(unframe({ kind: "blob", algorithm }, file), WHAT);
  requireAbout(readText(reader), digest);
  const diffId = readText(reader);
  const size = reader.read();
  const declared = compressions[reader.read(UNDECLARED)];
  const compression = compressions[reader.read(compressions.length - 1)]!;
  const bytes = reader.read();
  const count = reader.read(limits.seekPoints);
  const pointsPlainBytes = reader.read();
  const points = reader.take(reader.read());
  const windows = reader.take(reader.read());
  reader.end();
  const written = { count, pointsPlainBytes, points, windows };
  return { digest, size, declared, compression, diffId, bytes, points: written };
}

function readText(reader: VarintReader): string {
  return new TextDecoder().decode(toBytes(reader.readString()));
}

function requireAbout(got: string, expected: string): void {
  if (got === expected) return;
  throw new FormatError("MALFORMED", `${WHAT}: expected one about ${expected}, got ${got}`);
}
