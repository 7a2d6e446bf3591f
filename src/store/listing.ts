/**
 * The images of a store, as `sealfs images` lists them.
 *
 * @module
 */
import { SealfsError } from "../errors.ts";
import { formatPlatform } from "../platform/platform.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type Claim, claimsOf } from "./claims.ts";
import type { ImageRecord } from "./images.ts";
import type { Store } from "./store.ts";
import { openStoredImage } from "./stored-image.ts";
import { objectsOf } from "../erofs/object-list.ts";

/** One image. Sizes in bytes. */
export interface ListedImage {
  readonly id: VerityDigest;
  /** Sorted; none for an image that the next gc removes. */
  readonly names: readonly string[];
  /** For which it has one of the names, or is signed; sorted. */
  readonly platforms: readonly string[];
  /** Undefined when the image cannot be read. */
  readonly contents:
    | { readonly imageBytes: number; readonly objects: number; readonly objectBytes: number }
    | undefined;
  /** Why it cannot be read. */
  readonly problem: string | undefined;
  /** What its bundles say; their signatures have not been checked. */
  readonly bundles: readonly Claim[];
}

/**
 * Every image of a store, or those of some names, sorted by name; images without one come last.
 *
 * @throws {@link NotFoundError} `NO_REF` for a name that the store does not have
 */
export function* listImages(
  store: Store,
  wanted: readonly string[] = [],
): Generator<ListedImage, void, undefined> {
  const all = store.images.list();
  const records = wanted.length === 0 ? all : recordsOf(store, all, wanted);
  records.sort(byName);
  for (const { id, names, platforms: named } of records) {
    const bundles = attempt(() => claimsOf(store.eachBundle(id))).value ?? [];
    const { value: contents, problem } = attempt(() => contentsOf(store, id));
    const signed = bundles.flatMap(({ platform }) => (platform ? formatPlatform(platform) : []));
    const platforms = [...new Set([...named, ...signed])].sort();
    yield { id, names, platforms, contents, problem, bundles };
  }
}

function recordsOf(store: Store, all: ImageRecord[], wanted: readonly string[]): ImageRecord[] {
  const ids = new Set(
    wanted.flatMap((name) => {
      const refs = store.images.refsOf(name);
      return refs.length > 0 ? refs.map(({ id }) => id) : [store.images.resolve(name)];
    }),
  );
  return all.filter(({ id }) => ids.has(id));
}

function byName(a: ImageRecord, b: ImageRecord): number {
  const [left, right] = [a.names[0] ?? "\uffff", b.names[0] ?? "\uffff"];
  if (left !== right) return left < right ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function contentsOf(store: Store, id: VerityDigest): ListedImage["contents"] {
  const image = openStoredImage(store, id);
  const objects = objectsOf(image);
  let objectBytes = 0;
  for (const size of objects.values()) objectBytes += size;
  return { imageBytes: image.bytes.length, objects: objects.size, objectBytes };
}

/** One damaged image must not keep the others from being listed. */
function attempt<T>(read: () => T): { value: T | undefined; problem: string | undefined } {
  try {
    return { value: read(), problem: undefined };
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    return { value: undefined, problem: error.message };
  }
}
