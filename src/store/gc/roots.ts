/**
 * What must not be collected: images that names lead to, as many earlier images of these names as
 * the user keeps, and what living processes lease.
 *
 * A ref or lease that cannot be understood stops gc: nobody knows what it would have kept.
 *
 * Spec: docs/store.md, "Garbage collection".
 *
 * @module
 */
import { FormatError, SystemError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { claimsOf } from "../claims.ts";
import { targetOf } from "../images.ts";
import { REFS, idOfRefTarget } from "../layout.ts";
import { readLeases } from "../leases.ts";
import { decodeRef } from "../image-ref.ts";
import type { StoredRef } from "../images.ts";
import { formatPlatform } from "../../platform/platform.ts";
import type { Store } from "../store.ts";
import { objectsOfStored } from "../stored-image.ts";

/** Where marking starts. */
export interface Roots {
  readonly images: ReadonlySet<VerityDigest>;
  /** Further objects, which leases name. */
  readonly objects: readonly VerityDigest[];
  /** Names in the store of leases whose process is dead. */
  readonly deadLeases: readonly string[];
}

/**
 * Finds the roots. The caller holds the exclusive lock.
 *
 * @param keep how many images of each name to keep, the one that it leads to included; the others
 *   are those with the highest versions in their bundles
 * @throws {@link FormatError} `MALFORMED` for a ref or a living lease that cannot be understood
 */
export function findRoots(store: Store, keep: number): Roots {
  const refs = readRefs(store);
  const images = new Set(refs.map(({ id }) => id));
  if (keep > 1) for (const id of earlierImages(store, refs, keep - 1)) images.add(id);
  const leases = readLeases(store);
  for (const lease of leases.live) for (const id of lease.images) images.add(id);
  const objects = leases.live.flatMap((lease) => lease.objects);
  return { images, objects, deadLeases: leases.dead };
}

/**
 * The digests of all that the roots need: the images, and the objects that they refer to.
 *
 * @throws {@link SystemError} `IO`, its cause saying why an image cannot be read
 */
export function* markFrom(
  store: Store,
  roots: Roots,
): Generator<void, Set<VerityDigest>, undefined> {
  const marks = new Set(roots.objects);
  for (const id of roots.images) {
    yield;
    marks.add(id);
    for (const digest of objectsOrStop(store, id)) marks.add(digest);
  }
  return marks;
}

function objectsOrStop(store: Store, id: VerityDigest): Iterable<VerityDigest> {
  try {
    return objectsOfStored(store, id).keys();
  } catch (cause) {
    const names = new Set(
      readRefs(store)
        .filter((ref) => ref.id === id)
        .map(({ name }) => name),
    );
    const whose = names.size > 0 ? ` (${[...names].join(", ")})` : "";
    throw new SystemError("IO", `gc: image ${id}${whose} cannot be read; nothing was removed`, {
      cause,
      hint: "repair it with sealfs fsck --repair --from STORE, or remove its names with sealfs rm",
    });
  }
}

/** Every ref, strictly. */
function readRefs(store: Store): StoredRef[] {
  const refs: StoredRef[] = [];
  for (const component of store.files.names(REFS)) {
    const link = `${REFS}/${component}`;
    const ref = decodeRef(component);
    const id = idOfRefTarget(targetOf(store.files, link) ?? "");
    if (ref === undefined || id === undefined) {
      const path = store.files.pathOf(link);
      throw new FormatError("MALFORMED", `gc: ${path} is not an image name; nothing was removed`, {
        hint: "remove it, or let the tool that made it clean up this store",
      });
    }
    refs.push({ ...ref, id });
  }
  return refs;
}

/**
 * Of each name and platform the images with the highest versions, besides those that the name leads
 * to.
 */
function* earlierImages(
  store: Store,
  refs: readonly StoredRef[],
  count: number,
): Generator<VerityDigest> {
  const current = new Map<string, Set<VerityDigest>>();
  for (const { name, id } of refs) current.set(name, (current.get(name) ?? new Set()).add(id));
  const versions = new Map<string, Map<VerityDigest, number>>();
  for (const { id } of store.images.list()) {
    for (const { name, platform, version } of claimsOf(store.eachBundle(id))) {
      if (current.get(name)?.has(id) !== false) continue;
      const line = `${name} ${platform === undefined ? "" : formatPlatform(platform)}`;
      const known = versions.get(line) ?? new Map<VerityDigest, number>();
      versions.set(line, known.set(id, Math.max(version, known.get(id) ?? 0)));
    }
  }
  for (const images of versions.values()) {
    const newest = [...images].sort(([, a], [, b]) => b - a);
    yield* newest.slice(0, count).map(([id]) => id);
  }
}
