/**
 * Signed statements about images, one file per signer and name, because one image may go under
 * several names: `bundles/<id>/<key id>~<start of the name's SHA-256>.json`. The part from `~` on
 * is absent when the writer gave no name. Their bytes are as untrusted as everything in a store.
 *
 * Spec: docs/store.md, "Bundles".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { limits } from "../limits.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { decodeName, encodeName } from "./names.ts";

/** One bundle as it lies in the store. */
export interface StoredBundle {
  /** The key id that the file's name claims. */
  readonly keyId: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

const NAME_HASH_DIGITS = 16;
const FILE = new RegExp(`^(.*?)(?:~[0-9a-f]{${NAME_HASH_DIGITS}})?\\.json$`);

/** A bundle's path below the store; key ids are encoded as image names are. */
export function bundlePath(id: VerityDigest, keyId: string, name?: string): string {
  return `bundles/${id}/${encodeName(keyId)}${name === undefined ? "" : markOf(name)}.json`;
}

/** Whether a bundle's file says that it is about `name`. */
export function isMarked({ path }: StoredBundle, name: string): boolean {
  return path.endsWith(`${markOf(name)}.json`);
}

function markOf(name: string): string {
  return `~${sha256(name).slice(0, NAME_HASH_DIGITS)}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Bundles whose file says that they are about `name`, of every image; those that can be read. */
export function readBundlesFor(files: HeldDirectory, name: string): StoredBundle[] {
  return imagesWithBundles(files).flatMap((id) =>
    readBundles(files, id, undefined, (file) => file.endsWith(`${markOf(name)}.json`)),
  );
}

function imagesWithBundles(files: HeldDirectory): string[] {
  const ids = files.names("bundles");
  return ids.filter((id) => files.stat(`bundles/${id}`)?.isDirectory() === true);
}

/**
 * Every bundle about an image, sorted by key id; empty when it has none. A file that cannot be read
 * (not a regular file, too large for a bundle, no permission) is skipped and reported to
 * `onProblem`: one bad file must not hide the good ones.
 *
 * @throws {@link SystemError} when the directory itself cannot be read
 */
export function readBundles(
  files: HeldDirectory,
  id: string,
  onProblem?: (error: Error) => void,
  isWanted: (file: string) => boolean = () => true,
): StoredBundle[] {
  const directory = `bundles/${id}`;
  const bundles: StoredBundle[] = [];
  for (const name of files.names(directory)) {
    const keyId = decodeName(FILE.exec(name)?.[1] ?? "");
    if (keyId === undefined || !isWanted(name)) continue;
    const file = `${directory}/${name}`;
    const path = files.pathOf(file);
    try {
      bundles.push({ keyId, path, bytes: files.readRegular(file, limits.envelopeBytes) });
    } catch (error) {
      onProblem?.(failure(path, error));
    }
  }
  return bundles;
}
