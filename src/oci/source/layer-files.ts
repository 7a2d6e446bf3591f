/**
 * Plain layer tars as an image: no manifest, no configuration, so nothing to check them against
 * but their own format.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type BlobRange, partOf } from "../blob.ts";
import { type LayerDescriptor, NO_ANNOTATIONS, type OciImage, undeclaredLayer } from "../image.ts";
import { sniff } from "../codec/sniff.ts";
import { headOf, plainCopy } from "./archive-file.ts";
import { hasTool } from "./decompress-tool.ts";
import { openGiven } from "./given-file.ts";

/** @throws {@link NotFoundError} `NO_FILE`; the reason of `signal` */
export async function openLayerFiles(
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<OciImage> {
  const ranges: BlobRange[] = [];
  try {
    for (const path of paths) ranges.push(await openLayerFile(path, paths, signal));
    return imageOfLayers(ranges, paths);
  } catch (error) {
    for (const range of ranges) range.close();
    throw error;
  }
}

async function openLayerFile(
  path: string,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<BlobRange> {
  const range = await openGiven(path, signal, paths.join(","));
  const compression = sniff(headOf(range));
  if (!hasTool(compression)) return range; // decompressed as it is read, or refused
  try {
    return await plainCopy(range, compression, path, { signal, path });
  } finally {
    range.close();
  }
}

/** An image of layers that are open already, the lowest first; owns the ranges. */
export function imageOfLayers(ranges: readonly BlobRange[], labels: readonly string[]): OciImage {
  if (ranges.length > limits.layers) {
    throw new FormatError(
      "LIMIT",
      `tar: expected at most ${limits.layers} layers, got ${ranges.length}`,
    );
  }
  const byLayer = new Map<LayerDescriptor, BlobRange>();
  const layers = ranges.map((range, i) => {
    const layer = undeclaredLayer(labels[i]!, range.size);
    byLayer.set(layer, range);
    return layer;
  });
  return {
    label: labels.join(","),
    manifestDigest: undefined,
    manifestBytes: undefined,
    mediaType: undefined,
    configDigest: undefined,
    config: undefined,
    platform: { os: undefined, architecture: undefined, variant: undefined },
    annotations: NO_ANNOTATIONS,
    layers,
    openBlob: (layer) => {
      const range = byLayer.get(layer)!;
      return partOf(range, 0, range.size);
    },
    close: () => {
      for (const range of ranges) range.close();
    },
  };
}
