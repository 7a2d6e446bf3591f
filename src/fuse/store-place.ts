/**
 * Stores as places of objects.
 *
 * @module
 */
import { openPartial, readPartialLeaves } from "../store/partial-objects.ts";
import { Store } from "../store/store.ts";
import type { ObjectPlace } from "./objects.ts";

/** Opens the stores in these directories, and where objects are of which a part is there. */
export function openPlaces(directories: readonly string[], partial?: string): ObjectPlace[] {
  const stores = directories.map((directory) => storePlace(Store.open(directory)));
  return partial === undefined ? stores : [...stores, partialPlace(partial)];
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

/** Objects of which a part is there, in a directory of {@link ../store/partial-objects.ts}. */
export function partialPlace(directory: string): ObjectPlace {
  return {
    path: directory,
    openFile: (digest) => openPartial(directory, digest),
    readLeaves(digest) {
      try {
        return readPartialLeaves(directory, digest);
      } catch {
        return undefined;
      }
    },
    writeLeaves: () => false,
  };
}
