/**
 * Images of a store, compared with their ids.
 *
 * @module
 */
import { objectsOf } from "../erofs/object-list.ts";
import { Image } from "../erofs/image.ts";
import { IntegrityError } from "../errors.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import type { Store } from "./store.ts";

/**
 * Opens an image and compares the digest of its bytes with its id. Does not check signatures.
 *
 * @throws {@link NotFoundError} `NO_OBJECT`; {@link IntegrityError} `DIGEST_MISMATCH` or
 *   `WRONG_TYPE`; {@link FormatError} when these bytes are not an image
 */
export function openStoredImage(store: Store, id: VerityDigest): Image {
  const bytes = store.readImage(id);
  const got = verityDigestOf(bytes, algorithmOf(id));
  if (got === id) return Image.open(bytes);
  throw new IntegrityError("DIGEST_MISMATCH", `image ${id}: its bytes have the digest ${got}`, {
    hint: "the store is damaged: sealfs fsck lists what is wrong",
  });
}

/**
 * The objects of an image with their sizes in bytes, sorted by digest; without the image itself.
 *
 * @throws as {@link openStoredImage}
 */
export function objectsOfStored(store: Store, id: VerityDigest): Map<VerityDigest, number> {
  return objectsOf(openStoredImage(store, id));
}
