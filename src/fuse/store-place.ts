/**
 * Stores as places of objects.
 *
 * @module
 */
import { Store } from "../store/store.ts";
import type { ObjectPlace } from "./objects.ts";

/** Opens the stores in these directories. */
export function openPlaces(directories: readonly string[]): ObjectPlace[] {
  return directories.map((directory) => storePlace(Store.open(directory)));
}

/** What {@link ./objects.ts} needs of a store. */
export function storePlace(store: Store): ObjectPlace {
  return {
    path: store.path,
    openFile: (digest) => store.objects.openFile(digest),
    readLeaves: (digest) => store.readLeaves(digest),
    writeLeaves: (digest, leaves) => store.writeLeaves(digest, leaves),
  };
}
