/**
 * Repairing a store: what other stores or mirrors have is copied from them, compared with its
 * digest on the way; what is wrong and cannot be had goes to quarantine.
 *
 * @module
 */
import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";
import { VerityHasher } from "../../verity/hasher.ts";
import { makeDirectory } from "../../fs/directory.ts";
import { syncPath } from "../../fs/sync.ts";
import { checkObject } from "./fsck-object.ts";
import type { StoreProblem } from "./problem.ts";
import { exclusively } from "../lock.ts";
import { quarantine } from "../quarantine.ts";
import { LEAVES_ABOVE } from "../leaves.ts";
import type { RepairSource } from "./repair-source.ts";
import type { Store } from "../store.ts";
import { objectsOfStored } from "../stored-image.ts";
import { Transaction } from "../transaction.ts";

/**
 * Copies objects from elsewhere, and what turns out to be needed once an image is there again.
 * Gives those that could be had.
 *
 * @throws {@link SystemError} when the store cannot be written to
 */
export async function restoreObjects(
  store: Store,
  sources: readonly RepairSource[],
  wanted: ReadonlyMap<VerityDigest, number | undefined>,
  images: ReadonlySet<VerityDigest>,
): Promise<Set<VerityDigest>> {
  const restored = new Set<VerityDigest>();
  if (sources.length === 0) return restored;
  let round: Wanted[] = [...wanted];
  while (round.length > 0) {
    const got = await copyObjects(store, sources, round);
    for (const digest of got) restored.add(digest);
    round = got.filter((digest) => images.has(digest)).flatMap((id) => absentOf(store, id));
    round = round.filter(([digest]) => !restored.has(digest));
  }
  return restored;
}

type Wanted = readonly [digest: VerityDigest, size: number | undefined];

function absentOf(store: Store, id: VerityDigest): Wanted[] {
  return [...objectsOfStored(store, id)].filter(
    ([digest]) => !existsSync(store.objects.path(digest)),
  );
}

async function copyObjects(
  store: Store,
  sources: readonly RepairSource[],
  wanted: readonly Wanted[],
): Promise<VerityDigest[]> {
  const transaction = Transaction.begin(store);
  const got: VerityDigest[] = [];
  try {
    for (const object of wanted) {
      if (await stageFromAny(transaction, sources, object)) got.push(object[0]);
    }
    transaction.publish();
    return got;
  } finally {
    transaction.close();
  }
}

/** Tries each source in turn until one has the right bytes. */
async function stageFromAny(
  transaction: Transaction,
  sources: readonly RepairSource[],
  object: Wanted,
): Promise<boolean> {
  for (const source of sources) if (await stageCopy(transaction, source, object)) return true;
  return false;
}

async function stageCopy(
  transaction: Transaction,
  source: RepairSource,
  [digest, size]: Wanted,
): Promise<boolean> {
  const chunks = source.give(digest, size)?.[Symbol.asyncIterator]();
  if (chunks === undefined) return false;
  const staged = transaction.stage();
  const most = size ?? limits.imageBytes; // only images are wanted whose size nobody knows
  try {
    const hasher = new VerityHasher(algorithmOf(digest), { keepLeaves: most > LEAVES_ABOVE });
    for (let chunk = await next(chunks); chunk !== undefined; chunk = await next(chunks)) {
      if (hasher.bytes + chunk.length > most) break;
      hasher.update(chunk);
      staged.write(chunk);
    }
    if (hasher.digest() !== digest) return false;
    staged.finish(digest, hasher.bytes > LEAVES_ABOVE ? hasher.leaves() : undefined);
    return true;
  } finally {
    staged.abandon();
    await chunks.return?.().catch(() => undefined);
  }
}

/** The next chunk; a source that fails has come to its end, and the digest tells. */
async function next(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    const { value, done } = await chunks.next();
    return done === true ? undefined : value;
  } catch {
    return undefined;
  }
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
    for (const problem of problems) repairInPlace(store, problem);
    for (const name of ["objects", "images", "images/refs", "bundles"]) {
      syncPath(`${store.path}/${name}`);
    }
  });
}

function repairInPlace(store: Store, problem: StoreProblem): void {
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
      removeLink(store, problem);
      return;
    case "missing":
    case "image":
      return; // nothing here to take away
  }
}

/** What stands in the place of a link goes; the link itself comes back when its image is there. */
function removeLink(store: Store, { path }: StoreProblem): void {
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
