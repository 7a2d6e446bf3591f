/**
 * Whole objects in a staging directory, which a transaction takes over.
 *
 * @module
 */
import { failure } from "../fs/failure.ts";
import { replaceFile } from "../fs/atomic-file.ts";
import type { VerityDigest } from "../verity/index.ts";
import type { StagingDirectory } from "./staging.ts";

const MODE = 0o444;

/** A whole object that is not in its place yet. */
export interface WholeObject {
  readonly digest: VerityDigest;
  readonly size: number;
  /** Of its file, in the store. */
  readonly name: string;
  /** Removes its file, if that was not moved away. */
  remove(): void;
}

/**
 * Keeps an object whose content is at hand, and right. It has no leaf hashes beside it: small
 * objects are hashed when they are opened.
 *
 * @throws {@link SystemError} when it cannot be written; nothing is kept then
 */
export function keepWhole(
  { name, files }: StagingDirectory,
  digest: VerityDigest,
  content: Uint8Array,
): WholeObject {
  try {
    files.at(digest, (path) =>
      replaceFile(path, content, { mode: MODE, ignoreUmask: true, sync: false }),
    );
  } catch (error) {
    throw failure(`object ${digest}`, error);
  }
  const remove = () => files.removeTree(digest);
  return { digest, size: content.length, name: `${name}/${digest}`, remove };
}
