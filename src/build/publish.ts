/**
 * From trees, whose objects are staged, to images in the store: each image is one more object, and
 * all of it becomes visible in one transaction.
 *
 * @module
 */
import { seekIndexOf } from "../store/seek-indexes.ts";
import type { Published } from "../store/staged-objects.ts";
import type { ImagePublication, NewBundle, Transaction } from "../store/transaction.ts";
import { type WriteOptions, writeImage } from "../erofs/writer.ts";
import type { Platform } from "../platform/platform.ts";
import type { Directory } from "../tree/inode.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { objectsOfTree } from "./tree-objects.ts";

/** Makes bundles for an image and its seek index. */
export type Sign = (
  bytes: Uint8Array,
  seekIndex: SeekIndexFile | undefined,
) => readonly NewBundle[];

export interface ComposeOptions extends WriteOptions {
  readonly name?: string | undefined;
  /** What the image runs on. */
  readonly platform?: Platform | undefined;
  /** Makes the bundles to be published with the image. */
  readonly sign?: Sign | undefined;
  /** Makes the seek index, of the objects that the image refers to. */
  readonly seek?:
    ((objects: ReadonlyMap<VerityDigest, number>) => Uint8Array | undefined) | undefined;
}

/** An image that is ready to be published. */
export interface ComposedImage {
  readonly id: VerityDigest;
  readonly bytes: Uint8Array;
  /** The objects that the image refers to. */
  readonly objects: ReadonlyMap<VerityDigest, number>;
  readonly seekIndex: SeekIndexFile | undefined;
  readonly publication: ImagePublication;
}

/** Writes the image of `tree`, signs it, and stages it. */
export function composeImage(
  tree: Directory,
  transaction: Transaction,
  options: ComposeOptions,
): ComposedImage {
  const { name, platform, sign, seek, ...versions } = options;
  const bytes = writeImage(tree, versions);
  const id = verityDigestOf(bytes, transaction.store.algorithm);
  const objects = objectsOfTree(tree);
  const index = seek?.(objects);
  const seekIndex = index && seekIndexOf(index);
  const bundles = sign?.(bytes, seekIndex) ?? [];
  transaction.put(id, bytes);
  const seekIndexes = index === undefined ? [] : [index];
  const publication = { image: id, name, platform, bundles, seekIndexes };
  return { id, bytes, objects, seekIndex, publication };
}

/**
 * Publishes images with those staged objects that they refer to: objects that only hidden files of
 * lower layers had are left out.
 *
 * @param kept names of other files that the transaction keeps
 * @returns what became of the objects, the images among them
 */
export function publishImages(
  transaction: Transaction,
  images: readonly ComposedImage[],
  kept: Iterable<string> = [],
): Published {
  return transaction.publish({
    kept,
    objects: new Set(images.flatMap(({ id, objects }) => [...objects.keys(), id])),
    further: images.map(({ publication }) => publication),
  });
}
