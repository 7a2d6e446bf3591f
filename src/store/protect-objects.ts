/**
 * fs-verity on the objects of a store: from then on the kernel itself checks their content, for
 * every reader.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../errors.ts";
import { enableVerity, measureVerity } from "../sys/fsverity.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import type { Store } from "./store.ts";

/** What became of the objects asked for, by count. */
export interface ProtectedObjects {
  /** Had fs-verity before. */
  readonly kept: number;
  /** Have it now. */
  readonly enabled: number;
  /** Are not in the store. */
  readonly missing: number;
  /** Are not what their name says: nobody can read them through a mount. */
  readonly wrong: number;
}

/**
 * Turns fs-verity on for an object, if it is not on yet, and compares what the kernel measures with
 * the object's name. Returns whether it was turned on now.
 *
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when the object is not what its name says;
 *   `WRONG_TYPE`
 * @throws {@link NotFoundError} `NO_OBJECT`
 * @throws {@link SystemError} `NO_VERITY` when kernel or file system have no fs-verity;
 *   `READ_ONLY`, `PERMISSION`, `BUSY`, `IO`
 */
export function protectObject(store: Store, digest: VerityDigest): boolean {
  const fd = store.objects.open(digest);
  try {
    let measured = measureVerity(fd);
    if (measured === undefined) store.requireWritable();
    const isNew = measured === undefined && enableVerity(fd, algorithmOf(digest));
    measured ??= measureVerity(fd);
    if (measured === digest) return isNew;
    throw new IntegrityError(
      "DIGEST_MISMATCH",
      `object ${digest}: the kernel measures ${measured ?? "no fs-verity"}`,
    );
  } finally {
    closeSync(fd);
  }
}

/**
 * {@link protectObject} for many. Objects that are missing or wrong are counted: a mount without
 * them works until a reader opens one of them.
 *
 * @throws {@link SystemError} as {@link protectObject}, at the first that cannot be protected
 */
export function protectObjects(
  store: Store,
  digests: Iterable<VerityDigest>,
  progress?: (done: number) => void,
): ProtectedObjects {
  const count = { kept: 0, enabled: 0, missing: 0, wrong: 0 };
  let done = 0;
  for (const digest of digests) {
    try {
      count[protectObject(store, digest) ? "enabled" : "kept"] += 1;
    } catch (error) {
      if (error instanceof NotFoundError) count.missing += 1;
      else if (error instanceof IntegrityError) count.wrong += 1;
      else throw error;
    }
    progress?.((done += 1));
  }
  return count;
}
