/**
 * Leases that keep what a mount needs in its stores while it lives.
 *
 * @module
 */
import { objectsOf } from "../../erofs/object-list.ts";
import { takeLease } from "../../store/leases.ts";
import { Store } from "../../store/store.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { ImageSource } from "./image-source.ts";

/**
 * Takes a lease in every store that this process can write to; the others are left alone.
 * The leases end with the returned function, or with the process.
 *
 * @throws {@link SystemError} `BUSY` while a store is being cleaned up; `NO_SPACE`, `IO`
 */
export function leaseImage(
  stores: readonly string[],
  digest: VerityDigest,
  images: Pick<ImageSource, "get">,
): () => void {
  const objects = () => objectsOf(images.get()).keys();
  const leases = stores.map((path) => takeLease(Store.open(path), digest, objects));
  return () => {
    for (const lease of leases) lease?.release();
  };
}
