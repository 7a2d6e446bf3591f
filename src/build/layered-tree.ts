/**
 * The tree of an image's layers. Those that are remembered are not read, unless the image needs an
 * object of theirs that the store does not have: an image built earlier may have hidden it, or gc
 * removed it.
 *
 * @module
 */
import type { OciImage } from "../oci/image.ts";
import type { Transaction } from "../store/transaction.ts";
import type { Directory } from "../tree/inode.ts";
import { type MergeOptions, mergeLayers, profileNames } from "../tree/merge.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { BuildOptions } from "./build-options.ts";
import type { KnownLayers } from "./known-layers.ts";
import { type LayersOptions, readLayers } from "./layers.ts";
import type { ReadLayer } from "./read-layer.ts";
import { objectsOfTree } from "./tree-objects.ts";

export interface LayeredTree {
  readonly tree: Directory;
  readonly layers: readonly ReadLayer[];
  /** What is odd about the layers, from the lowest on, and about the tree. */
  readonly warnings: readonly string[];
}

/** @throws as {@link readLayers} and {@link mergeLayers} */
export async function treeOfLayers(
  image: OciImage,
  transaction: Transaction,
  known: KnownLayers,
  options: LayersOptions & Pick<BuildOptions, "profile" | "xattrs">,
): Promise<LayeredTree> {
  let layers: readonly ReadLayer[] = [];
  let anew: ReadonlySet<number> = new Set();
  for (;;) {
    layers = await readLayers(image, transaction, { known, layers, anew }, options);
    const warnings = layers.flatMap(({ label, warnings: own }) =>
      own.map((message) => `${label}: ${message}`),
    );
    const warn = (message: string) => void warnings.push(message);
    const tree = mergeLayers(layers, options.profile ?? profileNames[0], {
      ...mergeOptions(options),
      warn,
    });
    const lacking = transaction.trust(objectsOfTree(tree));
    if (lacking.length === 0) return { tree, layers, warnings };
    anew = layersWith(lacking, layers);
  }
}

function mergeOptions({
  strict = false,
  xattrs,
}: Pick<BuildOptions, "strict" | "xattrs">): MergeOptions {
  return xattrs === undefined ? { strict } : { strict, xattrs };
}

/** The lowest remembered layer that has each of these objects: those that were read have staged theirs. */
function layersWith(
  digests: readonly VerityDigest[],
  layers: readonly ReadLayer[],
): ReadonlySet<number> {
  const wanted = new Set(digests);
  const places = new Set<number>();
  for (const [place, { entries, isRemembered }] of layers.entries()) {
    if (!isRemembered) continue;
    for (const { digest } of entries) {
      if (digest !== undefined && wanted.delete(digest)) places.add(place);
    }
  }
  if (wanted.size > 0) throw new TypeError(`no layer has the object ${[...wanted][0]}`);
  return places;
}
