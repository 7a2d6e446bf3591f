/**
 * Mending a store: what other stores have is copied from them, compared with its digest on the way;
 * what is wrong and cannot be had goes to quarantine.
 *
 * @module
 */
import { chmodSync, closeSync, existsSync, lstatSync, readSync, unlinkSync } from "node:fs";
import { IntegrityError, NotFoundError, SealfsError } from "../errors.ts";
import { type VerityDigest, algorithmOf } from "../verity/digest.ts";
import { VerityHasher } from "../verity/hasher.ts";
import { makeDirectory, syncDirectory } from "./directory.ts";
import { checkObject } from "./fsck-object.ts";
import type { StoreProblem } from "./fsck-problem.ts";
import { exclusively } from "./lock.ts";
import { quarantine } from "./quarantine.ts";
import type { Store } from "./store.ts";
import { objectsOfStored } from "./stored-image.ts";
import { Stores } from "./stores.ts";
import { Transaction } from "./transaction.ts";

const READ_BYTES = 1024 * 1024;

/**
 * Copies objects from other stores, and what turns out to be needed once an image is there again.
 * Gives those that could be had.
 *
 * @throws {@link SystemError} when the store cannot be written to
 */
export function restoreObjects(
  store: Store,
  sources: readonly Store[],
  wanted: Iterable<VerityDigest>,
  images: ReadonlySet<VerityDigest>,
): Set<VerityDigest> {
  const restored = new Set<VerityDigest>();
  if (sources.length === 0) return restored;
  let round = [...new Set(wanted)];
  while (round.length > 0) {
    const got = copyObjects(store, new Stores(sources), round);
    for (const digest of got) restored.add(digest);
    round = got.filter((digest) => images.has(digest)).flatMap((id) => absentOf(store, id));
    round = round.filter((digest) => !restored.has(digest));
  }
  return restored;
}

function absentOf(store: Store, id: VerityDigest): VerityDigest[] {
  return [...objectsOfStored(store, id).keys()].filter(
    (digest) => !existsSync(store.objects.path(digest)),
  );
}

function copyObjects(
  store: Store,
  sources: Stores,
  wanted: readonly VerityDigest[],
): VerityDigest[] {
  const transaction = Transaction.begin(store);
  try {
    const got = wanted.filter((digest) => stageCopy(transaction, sources, digest));
    transaction.publish();
    return got;
  } finally {
    transaction.close();
  }
}

/** Tries each store in turn until one has the right bytes. */
function stageCopy(transaction: Transaction, sources: Stores, digest: VerityDigest): boolean {
  for (const { fd } of sources.openings(digest)) {
    const staged = transaction.stage();
    let good = false;
    try {
      const hasher = new VerityHasher(algorithmOf(digest));
      const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
      for (let got = readSync(fd, chunk); got > 0; got = readSync(fd, chunk)) {
        hasher.update(chunk.subarray(0, got));
        staged.write(chunk.subarray(0, got));
      }
      good = hasher.digest() === digest;
    } catch (error) {
      staged.abandon();
      if (error instanceof SealfsError) throw error; // this store cannot take it
    } finally {
      closeSync(fd);
    }
    if (!good) {
      staged.abandon();
      continue;
    }
    staged.finish(digest);
    return true;
  }
  return false;
}

/**
 * Takes what is wrong out of its place, each looked at again: since it was found, a writer may have
 * put the right thing there.
 *
 * @throws {@link SystemError} `BUSY` when writers do not end in time
 */
export function removeWrong(
  store: Store,
  problems: readonly StoreProblem[],
  timeoutMs: number | undefined,
): void {
  if (problems.length === 0) return;
  exclusively(store, timeoutMs, () => {
    for (const problem of problems) mend(store, problem);
    for (const name of ["objects", "images", "images/refs", "bundles"]) {
      syncDirectory(`${store.path}/${name}`);
    }
  });
}

function mend(store: Store, problem: StoreProblem): void {
  const { kind, path, digest } = problem;
  switch (kind) {
    case "object":
      if (checkObject(store.objects, digest!).problem?.kind === "object") {
        quarantine(store, path, digest);
        problem.repair = "quarantined";
      } else if (existsSync(path)) {
        problem.repair = "restored"; // by another process
      }
      return;
    case "mode":
      chmodSync(path, 0o444);
      problem.repair = "fixed";
      return;
    case "directory":
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
        quarantine(store, path);
      }
      makeDirectory(path);
      problem.repair = "fixed";
      return;
    case "leaves":
      unlinkSync(path);
      problem.repair = "removed";
      return;
    case "ref":
    case "bundle":
    case "seek":
    case "name":
      quarantine(store, path);
      problem.repair = "quarantined";
      return;
    case "link":
      mendLink(store, problem);
      return;
    case "missing":
    case "image":
      return; // nothing here to take away
  }
}

/** What stands in the place of a link goes; the link itself comes back when its image is there. */
function mendLink(store: Store, { path }: StoreProblem): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) quarantine(store, path);
}

/** Makes the links of images whose object is there, and tells which were made. */
export function relink(store: Store, ids: ReadonlySet<VerityDigest>): Set<VerityDigest> {
  const linked = new Set<VerityDigest>();
  for (const id of ids) {
    try {
      objectsOfStored(store, id);
    } catch (error) {
      if (error instanceof NotFoundError || error instanceof IntegrityError) continue;
      throw error;
    }
    const transaction = Transaction.begin(store);
    try {
      transaction.publish({ image: id });
      linked.add(id);
    } finally {
      transaction.close();
    }
  }
  return linked;
}
