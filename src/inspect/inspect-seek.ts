/** What the seek indexes of an image in a store contain, and their sizes.
 *
 * @module
 */
import { NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type IndexLayer, readSeekLayers } from "../seek/seek-index.ts";
import { listSeekIndexes, seekIndexPath, verifySeekIndex } from "../store/seek-indexes.ts";
import type { Stores } from "../store/stores.ts";

/** One index. Sizes in bytes. */
export interface SeekSummary {
  readonly digest: string;
  readonly size: number;
  /** Size of the index as a part of the uncompressed layers. */
  readonly share: number;
  readonly layers: readonly SeekLayerSummary[];
}

export interface SeekLayerSummary {
  readonly digest: string;
  readonly compression: IndexLayer["compression"];
  /** Of the blob, and uncompressed. */
  readonly size: number;
  readonly bytes: number;
  /** Whether a part can be read without everything before it. */
  readonly seekable: boolean;
  readonly objects: number;
  readonly points: number;
  /** Bytes of the index that its points take. */
  readonly indexBytes: number;
}

/**
 * Every index of an image by name or id.
 *
 * @throws {@link NotFoundError} `NO_REF`, or `NO_FILE` when there is none
 * @throws {@link FormatError} and {@link IntegrityError} for one that is damaged
 */
export function inspectSeekIndexes(stores: Stores, target: string): SeekSummary[] {
  const id = stores.resolve(target);
  const found = new Map<string, SeekSummary>();
  for (const store of stores.all) {
    for (const digest of listSeekIndexes(store, id)) {
      if (found.has(digest)) continue;
      const name = seekIndexPath(id, { digest });
      const bytes = store.files.readRegular(name, limits.seekIndexBytes);
      verifySeekIndex(bytes, { digest, size: bytes.length }, store.files.pathOf(name));
      found.set(digest, summaryOf(digest, bytes));
    }
  }
  if (found.size > 0) return [...found.values()];
  throw new NotFoundError("NO_FILE", `image ${target}: no seek index`, {
    hint: "sealfs build makes one of images that come in layers",
  });
}

function summaryOf(digest: string, bytes: Uint8Array): SeekSummary {
  const layers = readSeekLayers(bytes).map(({ points, places, ...layer }) => ({
    digest: layer.digest,
    compression: layer.compression,
    size: layer.size,
    bytes: layer.bytes,
    seekable: layer.seekable,
    objects: places,
    points: points.count,
    indexBytes: layer.indexBytes,
  }));
  const total = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  return { digest, size: bytes.length, share: total > 0 ? bytes.length / total : 0, layers };
}
