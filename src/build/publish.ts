/**
 * From a tree, whose objects are staged, to an image in the store: the image is one more object,
 * and all of it becomes visible in one transaction.
 *
 * @module
 */
import { seekIndexOf } from "../store/seek-indexes.ts";
import type { Published } from "../store/staged-objects.ts";
import type { NewBundle, Transaction } from "../store/transaction.ts";
import { type WriteOptions, writeImage } from "../erofs/writer.ts";
import type { Platform } from "../platform/platform.ts";
import type { Directory } from "../tree/inode.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { objectsOfTree } from "./tree-objects.ts";
import { defined } from "../optional.ts";

/** Makes bundles for an image and its seek index. */
export type Sign = (
  bytes: Uint8Array,
  seekIndex: SeekIndexFile | undefined,
) => readonly NewBundle[];

export interface PublishOptions extends WriteOptions {
  readonly name?: string | undefined;
  /** What the image runs on. */
  readonly platform?: Platform | undefined;
  /** Makes the bundles to be published with the image. */
  readonly sign?: Sign | undefined;
  /** Makes the seek index, of the objects that the image refers to. */
  readonly seek?:
    ((objects: ReadonlyMap<VerityDigest, number>) => Uint8Array | undefined) | undefined;
}

/** An image that has been published. */
export interface PublishedImage {
  readonly id: VerityDigest;
  readonly bytes: Uint8Array;
  /** The objects that the image refers to. */
  readonly objects: ReadonlyMap<VerityDigest, number>;
  readonly seekIndex: SeekIndexFile | undefined;
  /** What became of the objects, the image among them. */
  readonly published: Published;
}

/**
 * Writes the image of `tree` and publishes it with those staged objects that it refers to: objects
 * that only a hidden file of a lower layer had are left out.
 */
export function publishTree(
  tree: Directory,
  transaction: Transaction,
  options: PublishOptions,
): PublishedImage {
  const { name, platform, sign, seek, ...versions } = options;
  const bytes = writeImage(tree, versions);
  const id = verityDigestOf(bytes, transaction.store.algorithm);
  const objects = objectsOfTree(tree);
  const index = seek?.(objects);
  const seekIndex = index && seekIndexOf(index);
  const bundles = sign?.(bytes, seekIndex) ?? [];
  transaction.put(id, bytes);
  const published = transaction.publish({
    objects: new Set([...objects.keys(), id]),
    image: id,
    bundles,
    seekIndexes: index === undefined ? [] : [index],
    platform,
    ...defined({ name }),
  });
  return { id, bytes, objects, seekIndex, published };
}
