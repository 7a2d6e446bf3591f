/**
 * The disk usage of images: how much of a store each has to itself, and how much it shares.
 *
 * @module
 */
import type { VerityDigest } from "../verity/verity-digest.ts";
import { listObjectNames } from "./object-names.ts";
import type { Store } from "./store.ts";
import { openStoredImage } from "./stored-image.ts";
import { objectsOf } from "../erofs/object-list.ts";

/** The objects of one image, its bootstrap among them. Sizes in bytes. */
export interface ImageUsage {
  readonly id: VerityDigest;
  readonly names: readonly string[];
  /** Objects that no other image of the store refers to: what removing it frees. */
  readonly own: number;
  /** Objects that other images refer to as well. */
  readonly shared: number;
  readonly total: number;
}

/** A whole store. Sizes in bytes. */
export interface StoreUsage {
  /** Largest own part first. */
  readonly images: readonly ImageUsage[];
  /** The objects that images refer to, each counted once. */
  readonly referenced: number;
  /** Objects in the store that no image refers to: what gc would free now. */
  readonly unreferenced: number;
}

/** Size and number of images that refer to it. */
type Counted = Map<VerityDigest, { size: number; images: number }>;

/**
 * Adds up the sizes that the images say; objects that are missing count too.
 *
 * @throws {@link IntegrityError} or {@link FormatError} when an image cannot be read
 */
export function measureUsage(store: Store): StoreUsage {
  const counted: Counted = new Map();
  const records = store.images.list();
  const parts = records.map(({ id }) => {
    const image = openStoredImage(store, id);
    const objects = objectsOf(image).set(id, image.bytes.length);
    for (const [digest, size] of objects) {
      const known = counted.get(digest);
      if (known === undefined) counted.set(digest, { size, images: 1 });
      else known.images += 1;
    }
    return objects;
  });
  const images = records.map(({ id, names }, i) => ({ id, names, ...split(parts[i]!, counted) }));
  return {
    images: images.sort((a, b) => b.own - a.own || (a.id < b.id ? -1 : 1)),
    referenced: [...counted.values()].reduce((sum, { size }) => sum + size, 0),
    unreferenced: unreferencedBytes(store, counted),
  };
}

function split(objects: ReadonlyMap<VerityDigest, number>, counted: Counted) {
  let own = 0;
  let total = 0;
  for (const [digest, size] of objects) {
    total += size;
    if (counted.get(digest)!.images === 1) own += size;
  }
  return { own, shared: total - own, total };
}

function unreferencedBytes(store: Store, counted: Counted): number {
  let bytes = 0;
  for (const { digest, name } of listObjectNames(store)) {
    if (digest === undefined || counted.has(digest)) continue;
    bytes += store.files.stat(name)?.size ?? 0;
  }
  return bytes;
}
