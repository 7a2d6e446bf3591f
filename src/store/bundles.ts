/**
 * Signed statements about images, one file per signer and name, because one image may go under
 * several names: `bundles/<id>/<key id>~<start of the name's SHA-256>.json`, with the platform behind
 * when the statement has one (`~linux~arm64~v8`): images for two platforms may be the same bytes.
 * The part from `~` on is absent when the writer gave no name. Their bytes are as untrusted as everything in a store.
 *
 * Spec: docs/store.md, "Bundles".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { limits } from "../limits.ts";
import { formatPlatform } from "../platform/platform.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import type { ImageRef } from "./image-ref.ts";
import { decodeName, encodeName } from "./names.ts";

/** A bundle's file, as its name tells. */
export interface BundleFile {
  /** The key id that the file's name claims. */
  readonly keyId: string;
  readonly path: string;
  /** @throws {@link FormatError} `LIMIT`; as `HeldDirectory.readRegular` */
  readonly read: () => Uint8Array;
}

/** One bundle as it lies in the store. */
export interface StoredBundle extends Omit<BundleFile, "read"> {
  readonly bytes: Uint8Array;
}

const NAME_HASH_DIGITS = 16;
const FILE = new RegExp(
  `^(.*?)(?:~[0-9a-f]{${NAME_HASH_DIGITS}}(?:~[a-z0-9][a-z0-9._-]*){0,3})?\\.json$`,
);

/** A bundle's path below the store; key ids are encoded as image names are. */
export function bundlePath(id: VerityDigest, keyId: string, about?: Partial<ImageRef>): string {
  const { name, platform } = about ?? {};
  const words = platform === undefined ? "" : `~${formatPlatform(platform).replaceAll("/", "~")}`;
  const mark = name === undefined ? "" : `${markOf(name)}${words}`;
  return `bundles/${id}/${encodeName(keyId)}${mark}.json`;
}

/** Whether a bundle's file says that it is about `name`. */
export function isMarked({ path }: Pick<BundleFile, "path">, name: string): boolean {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const mark = markOf(name);
  return file.includes(`${mark}.`) || file.includes(`${mark}~`);
}

function markOf(name: string): string {
  return `~${sha256(name).slice(0, NAME_HASH_DIGITS)}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Bundles whose file says that they are about `name`, of every image; those that can be read. */
export function readBundlesFor(files: HeldDirectory, name: string): StoredBundle[] {
  return imagesWithBundles(files).flatMap((id) => [
    ...readBundles(bundleFiles(files, id).filter((file) => isMarked(file, name))),
  ]);
}

function imagesWithBundles(files: HeldDirectory): string[] {
  const ids = files.names("bundles");
  return ids.filter((id) => files.stat(`bundles/${id}`)?.isDirectory() === true);
}

/**
 * The files of the bundles about an image, sorted by key id; none when it has none. There may be any
 * number of them, so a reader holds few at a time.
 *
 * @throws {@link SystemError} when the directory itself cannot be read
 */
export function bundleFiles(files: HeldDirectory, id: string): BundleFile[] {
  const directory = `bundles/${id}`;
  return files.names(directory).flatMap((name) => {
    const keyId = decodeName(FILE.exec(name)?.[1] ?? "");
    if (keyId === undefined) return [];
    const file = `${directory}/${name}`;
    const read = () => files.readRegular(file, limits.envelopeBytes);
    return [{ keyId, path: files.pathOf(file), read }];
  });
}

/**
 * Reads bundles one by one. A file that cannot be read (not a regular file, too large for a bundle,
 * no permission) is skipped and reported to `onProblem`: one bad file must not hide the good ones.
 */
export function* readBundles(
  found: Iterable<BundleFile>,
  onProblem?: (error: Error) => void,
): Generator<StoredBundle, void, undefined> {
  for (const { keyId, path, read } of found) {
    let bytes: Uint8Array;
    try {
      bytes = read();
    } catch (error) {
      onProblem?.(failure(path, error));
      continue;
    }
    yield { keyId, path, bytes };
  }
}
