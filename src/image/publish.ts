/**
 * From a tree, whose objects are staged, to an image in the store: the image is one more object, and
 * all of it becomes visible in one transaction.
 *
 * @module
 */
import type { Published } from "../store/staged-objects.ts";
import type { NewBundle, Transaction } from "../store/transaction.ts";
import { type WriteOptions, writeImage } from "../erofs/writer.ts";
import type { Directory } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { objectsOfTree } from "./tree-objects.ts";

export interface PublishOptions extends WriteOptions {
  readonly name?: string | undefined;
  /** Makes the bundles to be published with the image. */
  readonly sign?: ((bytes: Uint8Array) => readonly NewBundle[]) | undefined;
}

/** An image that has been published. */
export interface PublishedImage {
  readonly id: VerityDigest;
  readonly bytes: Uint8Array;
  /** The objects that the image refers to. */
  readonly objects: ReadonlyMap<VerityDigest, number>;
  /** What became of the objects, the image among them. */
  readonly published: Published;
}

/**
 * Writes the image of `tree` and publishes it with those staged objects that it refers to: what
 * only a covered file of a lower layer had is left behind.
 */
export function publishTree(
  tree: Directory,
  transaction: Transaction,
  options: PublishOptions,
): PublishedImage {
  const { name, sign, ...versions } = options;
  const bytes = writeImage(tree, versions);
  const id = verityDigestOf(bytes, transaction.store.algorithm);
  const objects = objectsOfTree(tree);
  const bundles = sign?.(bytes) ?? [];
  transaction.put(id, bytes);
  const published = transaction.publish({
    objects: new Set([...objects.keys(), id]),
    image: id,
    bundles,
    ...(name === undefined ? {} : { name }),
  });
  return { id, bytes, objects, published };
}
