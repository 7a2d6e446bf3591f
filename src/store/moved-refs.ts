/**
 * Which refs lead to an image once it has a name. A name has a ref for each platform, and one by
 * itself, which leads to this machine's image where there is one: other tools, and images that are
 * for any platform, know only that.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { errnoOf } from "../fs/failure.ts";
import { platformDistance } from "../platform/platform-match.ts";
import { hostPlatform } from "../sys/host-platform.ts";
import { type ImageRef, encodeRef } from "./image-ref.ts";
import type { StoredRef } from "./images.ts";
import { REFS } from "./layout.ts";
import type { Store } from "./store.ts";

/** Refs by their names in the store: to be moved, and to be removed afterwards. */
export interface MovedRefs {
  readonly to: readonly string[];
  readonly outdated: readonly string[];
}

/** @throws {@link UsageError} for what cannot be a name */
export function refsToMove(store: Store, { name, platform }: Partial<ImageRef>): MovedRefs {
  if (name === undefined) return { to: [], outdated: [] };
  const known = store.images.refsOf(name);
  const own = refPath({ name, platform: undefined });
  if (platform === undefined) {
    const outdated = known.filter((ref) => ref.platform !== undefined).map(refPath);
    return { to: [own], outdated };
  }
  const host = hostPlatform();
  const isForHost = (ref: Pick<StoredRef, "platform">) =>
    ref.platform !== undefined && platformDistance(host, ref.platform) !== undefined;
  const isDefault = isForHost({ platform }) || !known.some(isForHost);
  const to = refPath({ name, platform });
  return { to: isDefault ? [to, own] : [to], outdated: [] };
}

/** Removes a ref; another process may have done so in the meantime. */
export function removeRef(store: Store, ref: string): void {
  try {
    store.files.unlink(ref);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** A ref's name in the store. */
export function refPath(ref: ImageRef): string {
  return `${REFS}/${encodeRef(ref)}`;
}
