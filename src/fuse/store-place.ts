/**
 * A store as a place of objects.
 *
 * @module
 */
import type { Store } from "../store/store.ts";
import type { ObjectPlace } from "./objects.ts";

/** What {@link ./objects.ts} needs of a store. */
export function storePlace(store: Store): ObjectPlace {
  return {
    path: store.path,
    openFile: (digest) => store.objects.openFile(digest),
    readLeaves: (digest) => store.readLeaves(digest),
    writeLeaves: (digest, leaves) => store.writeLeaves(digest, leaves),
  };
}
