/**
 * Which refs lead to images once they have names. A name has a ref for each platform, and one by
 * itself, which leads to this machine's image where there is one: other tools, and images that are
 * for any platform, know only that.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { errnoOf } from "../fs/failure.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type ImageRef, encodeRef, nearestRef } from "./image-ref.ts";
import { REFS } from "./layout.ts";
import type { Store } from "./store.ts";

/** An image, and the name and platform by which it is to be found. */
export interface NamedImage extends ImageRef {
  readonly id: VerityDigest;
}

/** Refs by their names in the store: to be moved, and to be removed afterwards. */
export interface MovedRefs {
  readonly moved: readonly { readonly ref: string; readonly id: VerityDigest }[];
  readonly outdated: readonly string[];
}

/** @throws {@link UsageError} for what cannot be a name */
export function refsToMove(store: Store, images: readonly NamedImage[]): MovedRefs {
  const names = new Set(images.map(({ name }) => name));
  const each = [...names].map((name) =>
    refsOfName(
      store,
      name,
      images.filter((image) => image.name === name),
    ),
  );
  return {
    moved: each.flatMap(({ moved }) => moved),
    outdated: each.flatMap(({ outdated }) => outdated),
  };
}

function refsOfName(store: Store, name: string, images: readonly NamedImage[]): MovedRefs {
  const known = store.images.refsOf(name);
  const refOf = (ref: ImageRef) => `${REFS}/${encodeRef(ref)}`;
  const bare = refOf({ name, platform: undefined });
  const last = images.at(-1)!;
  if (last.platform === undefined) {
    const outdated = known.filter(({ platform }) => platform !== undefined).map(refOf);
    return { moved: [{ ref: bare, id: last.id }], outdated };
  }
  const own = nearestRef(images) ?? (nearestRef(known) === undefined ? images[0] : undefined);
  const moved = images.map((image) => ({ ref: refOf(image), id: image.id }));
  if (own !== undefined) moved.push({ ref: bare, id: own.id });
  return { moved, outdated: [] };
}

/** Removes a ref; another process may have done so in the meantime. */
export function removeRef(store: Store, ref: string): void {
  try {
    store.files.unlink(ref);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
