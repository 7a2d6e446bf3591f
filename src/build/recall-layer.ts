/**
 * Whether a memory says of a layer all that reading it would.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { SealfsError } from "../errors.ts";
import { compressionOf } from "../oci/codec/decode.ts";
import type { LayerDescriptor, OciImage } from "../oci/image.ts";
import type { IndexedLayer } from "../seek/encode.ts";
import { NO_POINTS } from "../seek/point-writer.ts";
import type { LayerMemory } from "../store/layers/layer-memory.ts";
import type { RememberedEntries } from "../store/layers/remembered-layer.ts";

/** What of a layer is needed, and when it is refused. */
export interface LayerDemand {
  readonly strict: boolean;
  /** The most bytes that it may have, uncompressed and with its sparse files expanded. */
  readonly bound: number;
  /** Whether a seek index is wanted. */
  readonly points: boolean;
}

/** A layer from memory. */
export interface Recalled extends Pick<RememberedEntries, "entries" | "warnings"> {
  /** How a seek index describes its blob; undefined when none is wanted. */
  readonly indexed: IndexedLayer | undefined;
}

/** Undefined when the layer has to be read. */
export function recallLayer(
  memory: LayerMemory,
  image: OciImage,
  layer: LayerDescriptor,
  { strict, bound, points }: LayerDemand,
): Recalled | undefined {
  const { diffId, digest } = layer;
  if (diffId === undefined) return undefined;
  // Before the entries, of which there may be many.
  const blob = digest === undefined ? "undeclared" : recallBlob(memory, layer, digest);
  if (blob === "other" || (points && blob === "unknown")) return undefined;
  const known = memory.entries(diffId);
  if (known === undefined || known.bytes > bound || known.expanded > bound) return undefined;
  const { entries, warnings } = known;
  if (strict && warnings.length > 0) return undefined;
  if (!points) return { entries, warnings, indexed: undefined };
  const indexed = typeof blob === "object" ? blob : plainLayer(image, layer, known);
  return indexed && { entries, warnings, indexed };
}

/** `other` when the descriptor says something else of the blob than what was found. */
function recallBlob(
  memory: LayerMemory,
  { diffId, size, compression }: LayerDescriptor,
  digest: string,
): IndexedLayer | "unknown" | "other" {
  const blob = memory.blob(digest);
  if (blob === undefined) return "unknown";
  const isSame = blob.diffId === diffId && blob.size === size && blob.declared === compression;
  return isSame ? blob : "other";
}

/** A tar in an archive of `docker save`: its blob is what its diffID says. */
function plainLayer(
  image: OciImage,
  layer: LayerDescriptor,
  { diffId, bytes }: RememberedEntries,
): IndexedLayer | undefined {
  if (layer.size !== bytes || !diffId.startsWith("sha256:") || !isPlain(image, layer)) {
    return undefined;
  }
  return { digest: diffId, compression: "none", size: bytes, bytes, points: NO_POINTS };
}

/** By the first bytes of the blob. */
function isPlain(image: OciImage, layer: LayerDescriptor): boolean {
  if (image.prepare !== undefined) return false; // it would be fetched for that
  try {
    const range = image.openBlob(layer);
    try {
      return compressionOf(range, layer.compression, layer.label) === "none";
    } finally {
      range.close();
    }
  } catch (error) {
    if (error instanceof SealfsError) return false; // reading it tells
    throw error;
  }
}
