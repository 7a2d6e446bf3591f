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
import { closeSync } from "node:fs";
import { FormatError, IntegrityError, NotFoundError, SystemError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { errnoOf } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import type { OpenFile } from "../fs/regular-file.ts";

/**
 * Bytes of the largest object that does without: it is read and hashed as a whole where others are
 * read block by block.
 */
export const LEAVES_ABOVE = 1024 * 1024;

const MODE = 0o444;

/** Leaf hashes under the name of the object they belong to. */
export class LeafCache {
  readonly #files: HeldDirectory;

  /** `files` is the store: the cache lies in its `verity/`. */
  constructor(files: HeldDirectory) {
    this.#files = files;
  }

  /**
   * Opens the leaves of an object.
   *
   * @throws as {@link HeldDirectory.openRegular}
   */
  openFile(digest: VerityDigest): OpenFile {
    return this.#files.openRegular(leavesNameOf(digest), "leaf hashes");
  }

  /** Leaf hashes, unchecked; undefined when the cache has none for this object. */
  read(digest: VerityDigest): Uint8Array | undefined {
    try {
      return this.#files.readRegular(leavesNameOf(digest), limits.leafBytes, "leaves");
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
    const temporary = `tmp/leaves-${randomUUID()}`;
    try {
      this.#files.makeDirectory(`verity/${digest.slice(0, 2)}`);
      const fd = this.#files.newFile(temporary, MODE);
      try {
        writeFully(fd, leaves);
      } finally {
        closeSync(fd);
      }
      this.#files.rename(temporary, leavesNameOf(digest));
      return true;
    } catch (error) {
      if (errnoOf(error) === undefined && !(error instanceof IntegrityError)) throw error;
      this.#remove(temporary);
      return false;
    }
  }

  #remove(temporary: string): void {
    try {
      this.#files.unlink(temporary);
    } catch {
      // never made, or left to a later writer
    }
  }
}

/** The name of an object's leaf hashes in the store. */
export function leavesNameOf(digest: VerityDigest): string {
  return `verity/${objectPath(digest)}`;
}
