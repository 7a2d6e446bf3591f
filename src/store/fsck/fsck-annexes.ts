/**
 * Checking what a store has beside images and objects: bundles, leaf caches, seek indexes, and its
 * directories.
 *
 * @module
 */
import { closeSync, lstatSync } from "node:fs";
import { IntegrityError, NotFoundError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { verifyLeaves } from "../../verity/tree.ts";
import { readSeekLayers } from "../../seek/seek-index.ts";
import { readClaim } from "../claims.ts";
import { readRegular } from "../../fs/regular-file.ts";
import type { ProblemKind, StoreProblem } from "./problem.ts";
import { fanOut, storeDirectories } from "../layout.ts";
import { entriesOf, listObjectNames } from "../object-names.ts";
import { seekIndexOf } from "../seek-indexes.ts";
import type { Store } from "../store.ts";

/** What was checked beside images and objects, and all that is wrong with it. */
export interface AnnexesResult {
  readonly bundles: number;
  readonly leafCaches: number;
  readonly seekIndexes: number;
  readonly problems: readonly StoreProblem[];
}

export function checkAnnexes(store: Store): AnnexesResult {
  const problems: StoreProblem[] = [];
  const add: Add = (kind, path, message) => problems.push({ kind, path, message, bad: true });
  if (store.foreign === undefined) checkDirectories(store, add);
  return {
    bundles: checkBundles(store, add),
    leafCaches: checkLeafCaches(store, add),
    seekIndexes: checkSeekIndexes(store, add),
    problems,
  };
}

type Add = (kind: ProblemKind, path: string, message: string) => void;

function checkDirectories(store: Store, add: Add): void {
  for (const name of [...storeDirectories, ...fanOut.map((fan) => `objects/${fan}`)]) {
    const path = `${store.path}/${name}`;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) continue;
    add("directory", path, stat === undefined ? "missing" : "is not a directory");
  }
}

/** Without keys no signature can be checked: a bundle has to be one, and about its image. */
function checkBundles(store: Store, add: Add): number {
  let count = 0;
  for (const id of entriesOf(`${store.path}/bundles`)) {
    for (const name of entriesOf(`${store.path}/bundles/${id}`)) {
      const path = `${store.path}/bundles/${id}/${name}`;
      count += 1;
      const message = reasonOf(() => {
        const claim = readClaim({
          keyId: "",
          bytes: readRegular(path, limits.envelopeBytes, path),
        });
        return claim.id === id ? undefined : `is about the image ${claim.id}`;
      });
      if (message !== undefined) add("bundle", path, message);
    }
  }
  return count;
}

function checkLeafCaches(store: Store, add: Add): number {
  let count = 0;
  for (const { digest, path } of listObjectNames(store, `${store.path}/verity`)) {
    count += 1;
    const message =
      digest === undefined
        ? "the name is not a digest of this store's algorithm"
        : reasonOf(() => leavesProblem(store, digest, path));
    if (message !== undefined) add("leaves", path, message);
  }
  return count;
}

function leavesProblem(store: Store, digest: VerityDigest, path: string): string | undefined {
  const leaves = readRegular(path, limits.leafBytes, path);
  let size: number;
  try {
    const file = store.objects.openFile(digest);
    size = file.size;
    closeSync(file.fd);
  } catch (error) {
    if (error instanceof NotFoundError) return "its object is missing";
    if (error instanceof IntegrityError) return undefined; // reported with the object
    throw error;
  }
  verifyLeaves(leaves, size, digest);
  return undefined;
}

/** They have to be whole; wrong places in them show only when objects are read through them. */
function checkSeekIndexes(store: Store, add: Add): number {
  let count = 0;
  for (const id of entriesOf(`${store.path}/seek`)) {
    const folder = `${store.path}/seek/${id}`;
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === false) {
      add("seek", folder, "is not a directory");
      continue;
    }
    for (const name of entriesOf(folder)) {
      const path = `${folder}/${name}`;
      count += 1;
      const message = reasonOf(() => {
        const bytes = readRegular(path, limits.seekIndexBytes, path);
        readSeekLayers(bytes);
        const { digest } = seekIndexOf(bytes);
        return digest === `sha256:${name}` ? undefined : `its content has ${digest}`;
      });
      if (message !== undefined) add("seek", path, message);
    }
  }
  return count;
}

function reasonOf(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof SealfsError) return error.message;
    throw error;
  }
}
