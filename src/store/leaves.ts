/**
 * The leaf hashes of large objects, kept so that the next reader need not hash the whole object
 * before its first block. Nothing here is trusted: readers check leaves against the object's
 * digest, and a file that is missing or odd is only a cache miss.
 *
 * Spec: docs/store.md, "Leaf hashes".
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { FormatError, IntegrityError, NotFoundError, SystemError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";
import { makeDirectory } from "../fs/directory.ts";
import { errnoOf } from "../fs/failure.ts";
import { readRegular } from "../fs/regular-file.ts";
import { replaceFile } from "../fs/atomic-file.ts";

/**
 * Bytes of the largest object that does without: it is read and hashed as a whole where others are
 * read block by block.
 */
export const LEAVES_ABOVE = 1024 * 1024;

/** Leaf hashes under the name of the object they belong to. */
export class LeafCache {
  readonly #root: string;

  /** `root` is the store: the cache lies in its `verity/`. */
  constructor(root: string) {
    this.#root = root;
  }

  path(digest: VerityDigest): string {
    return `${this.#root}/verity/${objectPath(digest)}`;
  }

  /** Leaf hashes, unchecked; undefined when the cache has none for this object. */
  read(digest: VerityDigest): Uint8Array | undefined {
    try {
      return readRegular(this.path(digest), limits.leafBytes, "leaves");
    } catch (error) {
      if (
        error instanceof NotFoundError ||
        error instanceof IntegrityError ||
        error instanceof FormatError ||
        error instanceof SystemError
      ) {
        return undefined;
      }
      throw error;
    }
  }

  /** Keeps leaves, or returns false where that is not possible (a read-only store, a full disk). */
  write(digest: VerityDigest, leaves: Uint8Array): boolean {
    const temporary = `${this.#root}/tmp/leaves-${randomUUID()}`;
    try {
      makeDirectory(`${this.#root}/verity/${digest.slice(0, 2)}`);
      const options = { mode: 0o444, ignoreUmask: true, sync: false, temporary };
      replaceFile(this.path(digest), leaves, options);
      return true;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false;
    }
  }
}
