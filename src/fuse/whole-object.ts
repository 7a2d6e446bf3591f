/**
 * An object's file as a whole: its digest, and what tells that it is still the same.
 *
 * @module
 */
import { fstatSync, readSync } from "node:fs";
import { IntegrityError } from "../errors.ts";
import { type VerityDigest, VerityHasher, algorithmOf } from "../verity/index.ts";
import type { FileKey } from "./backing-table.ts";
import type { ObjectFile } from "./object-reader.ts";

const HASH_BYTES = 1024 * 1024;
let scratch: Buffer | undefined; // of this thread

/** The digest of as many bytes as the object has: a file may grow meanwhile. */
export function hashWhole(fd: number, { digest, size }: ObjectFile): VerityDigest {
  const bytes = (scratch ??= Buffer.allocUnsafeSlow(HASH_BYTES));
  const hasher = new VerityHasher(algorithmOf(digest));
  for (let position = 0; position < size;) {
    const got = readSync(fd, bytes, 0, Math.min(HASH_BYTES, size - position), position);
    if (got === 0) throw new IntegrityError("SIZE_MISMATCH", `the file ends at ${position}`);
    hasher.update(bytes.subarray(0, got));
    position += got;
  }
  return hasher.digest();
}

/** What tells the file from others, and changes when it does. */
export function keyOf(fd: number): FileKey {
  const { dev, ino, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  return [dev, ino, mtimeNs, ctimeNs];
}
