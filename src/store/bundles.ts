/**
 * Signed statements about images, one file per signer: `bundles/<id>/<key id>.json`. Their bytes
 * are as untrusted as everything in a store.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { limits } from "../limits.ts";
import type { VerityDigest } from "../verity/digest.ts";
import { errnoOf, failure } from "./failure.ts";
import { readRegular } from "./files.ts";
import { decodeName, encodeName } from "./names.ts";

/** One bundle as it lies in the store. */
export interface StoredBundle {
  /** The key id that the file's name claims. */
  readonly keyId: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A bundle's path below the store; key ids are encoded as image names are. */
export function bundlePath(id: VerityDigest, keyId: string): string {
  return `bundles/${id}/${encodeName(keyId)}.json`;
}

/**
 * Every bundle about an image, sorted by key id; none when there are none.
 *
 * @throws {@link FormatError} `LIMIT` for a file that is too large to be a bundle
 * @throws {@link IntegrityError} `WRONG_TYPE` when one is no regular file
 */
export function readBundles(root: string, id: VerityDigest): StoredBundle[] {
  const directory = `${root}/bundles/${id}`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw failure(directory, error);
  }
  const bundles: StoredBundle[] = [];
  for (const name of names.sort()) {
    if (!name.endsWith(".json")) continue;
    const keyId = decodeName(name.slice(0, -".json".length));
    if (keyId === undefined) continue;
    const path = `${directory}/${name}`;
    bundles.push({ keyId, path, bytes: readRegular(path, limits.envelopeBytes, path) });
  }
  return bundles;
}
