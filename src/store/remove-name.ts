/**
 * Taking a name away from an image. The image itself goes with the next gc, when nothing else
 * leads to it.
 *
 * @module
 */
import { NotFoundError } from "../errors.ts";
import { abbreviates } from "../verity/verity-digest.ts";
import { failure } from "../fs/failure.ts";
import { REFS } from "./layout.ts";
import { StoreLock } from "./lock.ts";
import { removeRef } from "./moved-refs.ts";
import type { Store } from "./store.ts";

/**
 * Removes names, all or none; on return the removal is on the disk. A ref that leads nowhere is
 * removed like any other.
 *
 * @throws {@link NotFoundError} `NO_REF` when one is not there; nothing is removed then
 * @throws {@link SystemError} when the store cannot be written to
 */
export function removeNames(store: Store, names: readonly string[]): void {
  const lock = StoreLock.shared(store);
  try {
    const refs = names.flatMap((name) => refsNamed(store, name));
    for (const ref of refs) removeRef(store, ref);
    store.files.sync(REFS);
    lock.confirm();
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  } finally {
    lock.release();
  }
}

/** Those of its platforms, and the one without, wherever they lead. */
function refsNamed(store: Store, name: string): string[] {
  const refs = store.images.refPaths(name);
  if (refs.length > 0) return refs;
  throw new NotFoundError("NO_REF", `image ${name}: no such name in ${store.path}`, {
    hint: isId(store, name)
      ? "this is an id: sealfs gc removes images that no name leads to"
      : "sealfs images lists the names",
  });
}

function isId(store: Store, text: string): boolean {
  try {
    return abbreviates(text, store.images.resolve(text));
  } catch {
    return false;
  }
}
