/**
 * The seek index of an image that has been built of layers: where each of its objects lies in them.
 *
 * Spec: docs/seek-index.md, "How points are found".
 *
 * @module
 */
import { limits } from "../limits.ts";
import { type IndexedLayer, type IndexedPlace, encodeSeekIndex } from "../seek/encode.ts";
import type { Directory } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { ReadLayer } from "./read-layer.ts";
import { objectsOfTree } from "./tree-objects.ts";

/** Makes the index of these objects; none when it would be too large, which it warns of. */
export type SeekIndexMaker = (
  objects: ReadonlyMap<VerityDigest, number>,
  warn: (message: string) => void,
) => Uint8Array | undefined;

/**
 * Finds the places of the objects that `tree` refers to, and keeps nothing else of the layers; the
 * function that it returns makes the index. The layers were asked for with points. Objects that lie in several places are taken from a
 * layer that can be entered in the middle, and among these from the lowest.
 */
export function seekIndexMaker(layers: readonly ReadLayer[], tree: Directory): SeekIndexMaker {
  const indexed = layers.map((layer) => layer.indexed!);
  const places = placesOf(layers, indexed, objectsOfTree(tree));
  return (objects, warn) => {
    const bytes = encodeSeekIndex(objects, indexed, places);
    if (bytes.length <= limits.seekIndexBytes) return bytes;
    warn(`seek index: left out, as it would have ${bytes.length} bytes`);
    return undefined;
  };
}

function placesOf(
  layers: readonly ReadLayer[],
  indexed: readonly IndexedLayer[],
  wanted: ReadonlyMap<VerityDigest, number>,
): IndexedPlace[] {
  const places = new Map<VerityDigest, IndexedPlace>();
  const order = layers
    .map((layer, number) => ({ layer, number, isSlow: !isSeekable(indexed[number]!) }))
    .sort((a, b) => Number(a.isSlow) - Number(b.isSlow));
  for (const { layer, number } of order) {
    for (const { entry, digest } of layer.entries) {
      if (digest === undefined || !wanted.has(digest) || places.has(digest)) continue;
      const { dataOffset: offset, segments } = entry;
      places.set(digest, { digest, layer: number, offset, segments });
    }
  }
  return [...places.values()];
}

function isSeekable({ compression, points }: IndexedLayer): boolean {
  return compression !== "zstd" || points.count > 1;
}
