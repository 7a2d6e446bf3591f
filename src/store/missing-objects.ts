/**
 * Which objects of an image a store lacks. Looks only for a file of the right size under the
 * object's name, and reads no content.
 *
 * @module
 */
import type { Image } from "../erofs/image.ts";
import type { Stores } from "./stores.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { objectsOf } from "../erofs/object-list.ts";

/** The objects that no store has, with their sizes in bytes, sorted by digest. */
export function missingObjects(image: Image, stores: Stores): Map<VerityDigest, number> {
  const objects = [...objectsOf(image)];
  return new Map(objects.filter(([digest, size]) => !isPresent(stores, digest, size)));
}

/** Whether a store has a file of that size under the object's name. */
export function isPresent(stores: Stores, digest: VerityDigest, size: number): boolean {
  return stores.all.some(({ objects }) => objects.sizeOf(digest) === size);
}
