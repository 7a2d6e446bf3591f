/**
 * Checking a whole store, and repairing it. The check holds the shared lock, so that gc waits while
 * writers go on; the exclusive lock is held only while wrong files are moved out of their place.
 *
 * Spec: docs/store.md, "Check and repair".
 *
 * @module
 */
import { SystemError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { checkAnnexes } from "./fsck-annexes.ts";
import { type ImagesResult, checkImages } from "./fsck-images.ts";
import { type ObjectsOptions, checkStoredObjects } from "./fsck-objects.ts";
import type { FoundProblem, ProblemKind, StoreProblem } from "./problem.ts";
import { relink, removeWrong, restoreObjects } from "./repair.ts";
import { StoreLock } from "../lock.ts";
import type { RepairSource } from "./repair-source.ts";
import type { Store } from "../store.ts";

export interface FsckOptions extends ObjectsOptions {
  /** Repair what can be repaired. */
  readonly repair?: boolean;
  /** Where objects may be copied from, asked in this order. */
  readonly from?: Iterable<RepairSource>;
  /** How long to wait for writers before wrong files are moved. */
  readonly timeoutMs?: number;
}

/** What was checked, and all that is wrong. */
export interface FsckResult {
  readonly images: number;
  readonly objects: number;
  /** Bytes of objects read. */
  readonly bytes: number;
  readonly bundles: number;
  readonly leafCaches: number;
  readonly seekIndexes: number;
  /** Files that say what layers hold. */
  readonly layers: number;
  readonly problems: readonly StoreProblem[];
  /** Whether nothing is wrong, or everything was repaired. */
  readonly good: boolean;
}

/**
 * Checks every name, image, bundle, cache and object; with `repair` it repairs what it can.
 *
 * @throws {@link SystemError} when the store cannot be read, or with `repair` not be written to
 */
export async function checkStore(store: Store, options: FsckOptions = {}): Promise<FsckResult> {
  const found = await check(store, options);
  if (options.repair === true) await repair(store, found, options);
  const { ids, needed: _, problems: all, ...result } = found;
  const problems = all.map(({ name, ...problem }) => ({
    ...problem,
    path: store.files.pathOf(name),
  }));
  return { ...result, problems, images: ids.size, good: problems.every(({ bad }) => !bad) };
}

async function check(store: Store, options: FsckOptions) {
  const lock = await lockShared(store, options);
  try {
    const annexes = checkAnnexes(store);
    const { ids, needed, problems: ofImages } = checkImages(store);
    const objects = await checkStoredObjects(store, options);
    const problems = [...annexes.problems, ...ofImages, ...objects.problems];
    return { ...annexes, ...objects, ids, needed, problems };
  } finally {
    lock?.release();
  }
}

/** A read-only store is checked without the lock: nothing on this machine removes from it. */
async function lockShared(store: Store, options: FsckOptions): Promise<StoreLock | undefined> {
  try {
    const { signal, timeoutMs } = options;
    if (signal === undefined) return StoreLock.shared(store, timeoutMs);
    return await StoreLock.sharedUntil(signal, store, timeoutMs);
  } catch (error) {
    const code = error instanceof SystemError ? error.code : undefined;
    if (options.repair === true || (code !== "READ_ONLY" && code !== "PERMISSION")) throw error;
    return undefined;
  }
}

interface Found extends Pick<ImagesResult, "ids" | "needed"> {
  readonly problems: FoundProblem[];
}

async function repair(
  store: Store,
  { problems, ids, needed }: Found,
  options: FsckOptions,
): Promise<void> {
  const left = (...kinds: readonly ProblemKind[]) =>
    problems.filter(
      ({ kind, repair: done }) =>
        done === undefined && (kinds.length === 0 || kinds.includes(kind)),
    );
  // Directories first: everything else is put into them.
  removeWrong(store, left("directory"), options.timeoutMs);
  const wrong = left("object", "missing");
  const wanted = new Map(wrong.map(({ digest }) => [digest!, needed.get(digest!)]));
  const restored = await restoreObjects(store, [...(options.from ?? [])], wanted, ids);
  for (const problem of wrong) if (restored.has(problem.digest!)) problem.repair = "restored";
  const links = left("link");
  removeWrong(store, left(), options.timeoutMs);
  const linked = relink(store, new Set(links.map(({ digest }) => digest!)));
  for (const problem of links) if (linked.has(problem.digest!)) problem.repair = "fixed";
  review(store, problems);
}

/**
 * Marks which problems remain. Images that can be read again may need objects that were not known.
 */
function review(store: Store, problems: FoundProblem[]): void {
  const now = checkImages(store);
  for (const problem of problems) problem.bad = isBadStill(store, problem, now.needed);
  const known = new Set(problems.filter(({ bad }) => bad).map(({ name }) => name));
  problems.push(...now.problems.filter(({ name }) => !known.has(name)));
}

/** Quarantine repairs what nothing needs; an object that an image needs is missing afterwards. */
function isBadStill(
  store: Store,
  { kind, digest, repair: done }: FoundProblem,
  needed: ReadonlyMap<VerityDigest, number | undefined>,
): boolean {
  if (done === undefined) return true;
  if (kind !== "object" || done !== "quarantined") return false;
  return needed.has(digest!) && !store.objects.has(digest!);
}
