/**
 * Repairing a store: objects are copied from other stores or mirrors, compared with their digests
 * on the way; what is wrong and cannot be restored goes to quarantine.
 *
 * @module
 */
import { closeSync, constants, fchmodSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";
import { VerityHasher } from "../../verity/hasher.ts";
import { checkObject } from "./fsck-object.ts";
import type { FoundProblem } from "./problem.ts";
import { exclusively } from "../lock.ts";
import { quarantine } from "../quarantine.ts";
import { LEAVES_ABOVE } from "../leaves.ts";
import type { RepairSource } from "./repair-source.ts";
import type { Store } from "../store.ts";
import { objectsOfStored } from "../stored-image.ts";
import { Transaction } from "../transaction.ts";

/**
 * Copies objects from the sources, and then the objects of each image that was restored. Returns
 * those that could be copied.
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
  return [...objectsOfStored(store, id)].filter(([digest]) => !store.objects.has(digest));
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
  const most = size ?? limits.imageBytes; // only images are wanted without a known size
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

/** The next chunk. A source that fails counts as ended, and the digest shows what is missing. */
async function next(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    const { value, done } = await chunks.next();
    return done === true ? undefined : value;
  } catch {
    return undefined;
  }
}

/**
 * Moves what is wrong out of its place, after another look at each: a writer may have replaced it
 * since it was found.
 *
 * @throws {@link SystemError} `BUSY` when writers do not end in time
 */
export function removeWrong(
  store: Store,
  problems: readonly FoundProblem[],
  timeoutMs: number | undefined,
): void {
  if (problems.length === 0) return;
  exclusively(store, timeoutMs, () => {
    for (const problem of problems) repairInPlace(store, problem);
    for (const name of ["objects", "images", "images/refs", "bundles"]) {
      store.files.sync(name);
    }
  });
}

function repairInPlace(store: Store, problem: FoundProblem): void {
  const { files } = store;
  const { kind, name, digest } = problem;
  switch (kind) {
    case "object":
      if (checkObject(store.objects, digest!).problem?.kind === "object") {
        quarantine(store, name, digest);
        problem.repair = "quarantined";
      } else if (store.objects.has(digest!)) {
        problem.repair = "restored"; // by another process
      }
      return;
    case "mode":
      setMode(store, name);
      problem.repair = "fixed";
      return;
    case "directory":
      if (files.stat(name)?.isDirectory() === false) quarantine(store, name);
      files.makeDirectory(name);
      problem.repair = "fixed";
      return;
    case "leaves":
    case "layer":
      files.removeTree(name);
      problem.repair = "removed";
      return;
    case "ref":
    case "bundle":
    case "seek":
    case "name":
      quarantine(store, name);
      problem.repair = "quarantined";
      return;
    case "link":
      removeLink(store, problem);
      return;
    case "missing":
    case "image":
      return; // nothing to move
  }
}

/**
 * Quarantines what is in the link's place; {@link relink} makes the link when its image is good.
 */
function removeLink(store: Store, { name }: FoundProblem): void {
  if (store.files.stat(name) !== undefined) quarantine(store, name);
}

function setMode({ files }: Store, name: string): void {
  const fd = files.open(name, constants.O_RDONLY);
  try {
    fchmodSync(fd, 0o444);
  } finally {
    closeSync(fd);
  }
}

/** Makes the links of those images whose object is good; returns for which. */
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
