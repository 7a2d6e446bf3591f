/**
 * Checking what a store has beside images and objects: bundles, leaf caches, seek indexes, remembered
 * layers, and its directories.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { IntegrityError, NotFoundError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { verifyLeaves } from "../../verity/tree.ts";
import { readSeekLayers } from "../../seek/seek-index.ts";
import { readClaim } from "../claims.ts";
import { checkLayers } from "./fsck-layers.ts";
import type { FoundProblem, ProblemKind } from "./problem.ts";
import { fanOut, layerDirectories, storeDirectories } from "../layout.ts";
import { hasDirectory, statOf } from "../stat-of.ts";
import { listObjectNames } from "../object-names.ts";
import { seekIndexOf } from "../seek-indexes.ts";
import type { Store } from "../store.ts";

/** What was checked beside images and objects, and all that is wrong with it. */
export interface AnnexesResult {
  readonly bundles: number;
  readonly leafCaches: number;
  readonly seekIndexes: number;
  /** Files that say what layers hold. */
  readonly layers: number;
  readonly problems: readonly FoundProblem[];
}

export function checkAnnexes(store: Store): AnnexesResult {
  const problems: FoundProblem[] = [];
  const add: Add = (kind, name, message) => problems.push({ kind, name, message, bad: true });
  if (store.foreign === undefined) checkDirectories(store, add);
  const { layers, wrong } = checkLayers(store);
  for (const { name, message } of wrong) add("layer", name, message);
  return {
    layers,
    bundles: checkBundles(store, add),
    leafCaches: checkLeafCaches(store, add),
    seekIndexes: checkSeekIndexes(store, add),
    problems,
  };
}

const madeLater = new Set<string>(layerDirectories);

type Add = (kind: ProblemKind, name: string, message: string) => void;

function checkDirectories(store: Store, add: Add): void {
  const fans = hasDirectory(store, "objects") ? fanOut : []; // or else one line tells it
  for (const name of [...storeDirectories, ...fans.map((fan) => `objects/${fan}`)]) {
    const stat = statOf(store, name);
    if (stat?.isDirectory() === true) continue;
    if (stat === undefined && madeLater.has(name)) continue;
    add("directory", name, stat === undefined ? "missing" : "is not a directory");
  }
}

/** Without keys no signature can be checked: a bundle has to be one, and about its image. */
function checkBundles(store: Store, add: Add): number {
  let count = 0;
  for (const { folder: id, name } of filesBelow(store, "bundles", "bundle", add)) {
    count += 1;
    const message = reasonOf(() => {
      const bytes = store.files.readRegular(name, limits.envelopeBytes);
      const claim = readClaim({ keyId: "", bytes });
      return claim.id === id ? undefined : `is about the image ${claim.id}`;
    });
    if (message !== undefined) add("bundle", name, message);
  }
  return count;
}

function checkLeafCaches(store: Store, add: Add): number {
  let count = 0;
  for (const { digest, name } of listObjectNames(store, { directory: "verity", skipWrong: true })) {
    count += 1;
    const message =
      digest === undefined
        ? "the name is not a digest of this store's algorithm"
        : reasonOf(() => leavesProblem(store, digest, name));
    if (message !== undefined) add("leaves", name, message);
  }
  return count;
}

function leavesProblem(store: Store, digest: VerityDigest, name: string): string | undefined {
  const leaves = store.files.readRegular(name, limits.leafBytes);
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
  for (const { entry, name } of filesBelow(store, "seek", "seek", add)) {
    count += 1;
    const message = reasonOf(() => {
      const bytes = store.files.readRegular(name, limits.seekIndexBytes);
      readSeekLayers(bytes);
      const { digest } = seekIndexOf(bytes);
      return digest === `sha256:${entry}` ? undefined : `its content has ${digest}`;
    });
    if (message !== undefined) add("seek", name, message);
  }
  return count;
}

/** What lies in the folders of a directory of the store, which are named by images. */
function* filesBelow(store: Store, directory: string, kind: ProblemKind, add: Add) {
  if (!hasDirectory(store, directory)) return; // reported by itself
  for (const folder of store.files.names(directory)) {
    const inner = `${directory}/${folder}`;
    if (!hasDirectory(store, inner)) {
      add(kind, inner, "is not a directory");
      continue;
    }
    for (const entry of store.files.names(inner)) {
      yield { folder, entry, name: `${inner}/${entry}` };
    }
  }
}

function reasonOf(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof SealfsError) return error.message;
    throw error;
  }
}
