/**
 * Leases that keep what a mount needs in its stores while it lives.
 *
 * @module
 */
import { objectsOf } from "../../erofs/object-list.ts";
import { SealfsError, SystemError } from "../../errors.ts";
import { takeLease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import type { Stores } from "../../store/stores.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { ImageSource } from "./image-source.ts";

/**
 * Takes a lease in every store that this process can write to; the others are left alone. A lease that
 * cannot be written, on a full disk or where the store has something else in its place, is no reason not
 * to mount: what it would keep may be cleaned up, and is missed then as any other object. The leases end
 * with the returned function, or with the process.
 *
 * @throws {@link SystemError} `BUSY` while a store is being cleaned up
 */
export function leaseImage(
  stores: Stores,
  digest: VerityDigest,
  images: Pick<ImageSource, "get">,
  log: (line: string) => void,
): () => void {
  const objects = () => objectsOf(images.get()).keys();
  const take = (store: Store) => {
    try {
      return takeLease(store, digest, objects);
    } catch (error) {
      const isCleaned = error instanceof SystemError && error.code === "BUSY";
      if (isCleaned || !(error instanceof SealfsError)) throw error;
      log(`${error.message}: sealfs gc may remove what this mount needs`);
      return undefined;
    }
  };
  const leases = stores.all.map(take);
  return () => {
    for (const lease of leases) lease?.release();
  };
}
