/**
 * Stores as places of objects.
 *
 * @module
 */
import { HeldDirectory, type SharedDirectory } from "../fs/held-directory.ts";
import { ObjectStore } from "../store/objects.ts";
import { openPartial, readPartialLeaves } from "../store/partial-objects.ts";
import { Store } from "../store/store.ts";
import type { ObjectPlace } from "./object-reader.ts";

/**
 * Opens the stores in these directories, and where objects are of which a part is there. `held` are
 * descriptors of the stores' objects, where another thread has opened them.
 */
export function openPlaces(
  directories: readonly string[],
  partial?: SharedDirectory,
  held: readonly number[] = [],
): ObjectPlace[] {
  const stores = directories.map((directory, i) => storePlace(Store.open(directory), held[i]));
  return partial === undefined ? stores : [...stores, partialPlace(HeldDirectory.shared(partial))];
}

/** What {@link ./object-reader.ts} needs of a store. */
export function storePlace(store: Store, held?: number): ObjectPlace {
  const objects =
    held === undefined ? store.objects.holding() : ObjectStore.held(store.objects.directory, held);
  return {
    path: store.path,
    openFile: (digest) => objects.openFile(digest),
    readLeaves: (digest) => store.readLeaves(digest),
    writeLeaves: (digest, leaves) => store.writeLeaves(digest, leaves),
  };
}

/** Objects of which a part is there, in a directory of {@link ../store/partial-objects.ts}. */
function partialPlace(directory: HeldDirectory): ObjectPlace {
  return {
    path: directory.path,
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
