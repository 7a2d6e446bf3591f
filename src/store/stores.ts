/**
 * Several stores in order: the first is written to, the others (a read-only medium, a network
 * share) are only read.
 *
 * @module
 */
import type { FoundImage } from "./images.ts";
import { IntegrityError, NotFoundError, SystemError, UsageError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import type { BundleFile } from "./bundles.ts";
import { type LocalObjects, Store, type StoreOptions } from "./store.ts";

/** Stores that answer as one. */
export class Stores implements LocalObjects {
  readonly all: readonly Store[];

  constructor(stores: readonly Store[]) {
    if (stores.length === 0) throw new UsageError("USAGE", "no store given");
    this.all = stores;
  }

  /** @throws as {@link Store.open} for the first that is not a store */
  static open(directories: readonly string[], options: StoreOptions = {}): Stores {
    return new Stores(directories.map((directory) => Store.open(directory, options)));
  }

  /** The store that is written to. */
  get first(): Store {
    return this.all[0]!;
  }

  /** Opens an object from the first store that has it as a regular file. */
  open(digest: VerityDigest): number {
    let problem: Error | undefined;
    for (const opening of this.openings(digest, (error) => (problem ??= error))) return opening.fd;
    throw problem ?? new NotFoundError("NO_OBJECT", `object ${digest}: in no store`);
  }

  /**
   * The object from each store that has it, in order: when the content of one turns out wrong, the
   * next may be good. Each descriptor is the caller's to close; the next store is only asked when
   * the caller goes on. `onProblem` is told of stores whose file cannot be opened.
   */
  *openings(
    digest: VerityDigest,
    onProblem?: (error: Error) => void,
  ): IterableIterator<{ fd: number; store: Store }> {
    for (const store of this.all) {
      let fd: number;
      try {
        fd = store.open(digest);
      } catch (error) {
        if (error instanceof IntegrityError || error instanceof SystemError) onProblem?.(error);
        else if (!(error instanceof NotFoundError)) throw error;
        continue;
      }
      yield { fd, store };
    }
  }

  readLeaves(digest: VerityDigest): Uint8Array | undefined {
    for (const store of this.all) {
      const leaves = store.readLeaves(digest);
      if (leaves !== undefined) return leaves;
    }
    return undefined;
  }

  writeLeaves(digest: VerityDigest, leaves: Uint8Array): boolean {
    return this.first.writeLeaves(digest, leaves);
  }

  /**
   * An image by name, which is this machine's unless another platform is given, or by id, from the
   * first store that knows it.
   *
   * @throws as {@link ImageIndex.find}
   */
  find(nameOrId: string, platform?: Platform): FoundImage {
    for (const store of this.all) {
      try {
        return store.images.find(nameOrId, platform);
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
      }
    }
    const places = this.all.map((store) => store.path).join(", ");
    throw new NotFoundError("NO_REF", `image ${nameOrId}: no such image in ${places}`);
  }

  /** The id alone; as {@link find}. */
  resolve(nameOrId: string, platform?: Platform): VerityDigest {
    return this.find(nameOrId, platform).id;
  }

  /**
   * The bytes of an image from the first store that has the right ones. When no store has these,
   * the first store's wrong bytes are returned: the caller checks them, and can say what is wrong.
   *
   * @throws {@link NotFoundError} `NO_OBJECT`; the first store's error when none can be read
   */
  readImage(id: VerityDigest): Uint8Array {
    let wrong: Uint8Array | undefined;
    let problem: unknown;
    for (const store of this.all) {
      try {
        const bytes = store.readImage(id);
        // No other store to choose from, and the digest is compared when the image is used.
        if (this.all.length === 1) return bytes;
        if (verityDigestOf(bytes, algorithmOf(id)) === id) return bytes;
        wrong ??= bytes;
      } catch (error) {
        if (!(error instanceof NotFoundError)) problem ??= error;
      }
    }
    if (wrong !== undefined) return wrong;
    throw problem ?? new NotFoundError("NO_OBJECT", `image ${id}: in no store`);
  }

  /** The files of the bundles about an image in every store, not read yet. */
  bundleFiles(id: VerityDigest): BundleFile[] {
    return this.all.flatMap((store) => store.bundleFiles(id));
  }
}
