/**
 * Which objects of an image a store lacks. Only whether something is there is looked at.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Image } from "../erofs/image.ts";
import type { Stores } from "../store/stores.ts";
import type { VerityDigest } from "../verity/digest.ts";
import { objectsOf } from "../erofs/object-list.ts";

/** The objects that no store has, with their sizes in bytes, sorted by digest. */
export function missingObjects(image: Image, stores: Stores): Map<VerityDigest, number> {
  const objects = [...objectsOf(image)];
  return new Map(
    objects.filter(
      ([digest]) => !stores.all.some(({ objects }) => existsSync(objects.path(digest))),
    ),
  );
}
