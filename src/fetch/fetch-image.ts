/**
 * Fetching what an image lacks into a store. The image is verified first: it alone says which objects
 * there are and how large they are.
 *
 * @module
 */
import { ImageView } from "../erofs/view.ts";
import { walkFiles } from "../erofs/walk.ts";
import { NotFoundError } from "../errors.ts";
import { defined } from "../optional.ts";
import { type FailedObject, type FetchProgress, fetchAll } from "../mirror/fetch-all.ts";
import { Fetcher } from "../mirror/fetcher.ts";
import { Health, type SourceStats } from "../mirror/health.ts";
import { type PlannedSource, planFetch, summarize } from "../mirror/fetch-plan.ts";
import type { ObjectSource, WantedObject } from "../mirror/source.ts";
import { takeLease } from "../store/leases.ts";
import { FreeSpace } from "../store/space.ts";
import type { Stores } from "../store/stores.ts";
import type { Durability } from "../store/transaction.ts";
import { S_IFMT, S_IFREG } from "../tree/inode.ts";
import { objectsOf } from "../erofs/object-list.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { isPresent } from "../store/missing-objects.ts";
import { PathPattern } from "./path-pattern.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";

export interface FetchRequest {
  /** In the order in which they are asked. */
  readonly sources: readonly ObjectSource[];
  /** Patterns of the files whose content is wanted; all when there are none. */
  readonly paths?: readonly string[];
  /** Requests at a time. */
  readonly jobs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly durability?: Durability | undefined;
  /** Per cent of the file system that stay free. */
  readonly minFree?: number | undefined;
  readonly onProgress?: (progress: FetchProgress, total: Amount) => void;
}

export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/** What is to be fetched, and from where. */
export interface ImageFetchPlan {
  /** What the image has, or the patterns match. */
  readonly wanted: Amount;
  /** What of that no store has. */
  readonly missing: Amount;
  readonly sources: readonly PlannedSource[];
  /** What of that no source has, as far as they know. */
  readonly absent: readonly WantedObject[];
}

/** What was fetched. */
export interface ImageFetch {
  readonly wanted: Amount;
  readonly missing: Amount;
  readonly fetched: Amount;
  readonly failed: readonly FailedObject[];
  /** Objects that were not asked for any more, as all sources had failed. */
  readonly untried: readonly WantedObject[];
  readonly sources: readonly SourceStats[];
}

/**
 * Looks what a fetch would do, without asking anybody.
 *
 * @throws {@link NotFoundError} `NO_FILE` for a pattern that matches nothing
 */
export function planImageFetch(
  verified: VerifiedImage,
  stores: Stores,
  { sources, paths }: Pick<FetchRequest, "sources" | "paths">,
): ImageFetchPlan {
  const wanted = wantedObjects(verified, paths);
  const missing = missingOf(wanted, stores);
  const plan = planFetch(missing, sources, new Health());
  return {
    wanted: amountOf(wanted),
    missing: amountOf(missing),
    sources: summarize(plan),
    absent: plan.absent,
  };
}

/**
 * Fetches what no store has into the first. Objects that cannot be had are in the result; when this
 * throws, what came until then is in the store, and the next call goes on from there.
 *
 * @throws {@link NotFoundError} `NO_FILE` for a pattern that matches nothing
 * @throws {@link SystemError} when the store cannot take it; the reason of the signal
 */
export async function fetchImage(
  verified: VerifiedImage,
  stores: Stores,
  request: FetchRequest,
): Promise<ImageFetch> {
  const { sources, signal, jobs, durability, minFree } = request;
  const store = stores.first;
  const wanted = wantedObjects(verified, request.paths);
  // First, so that what is there stays.
  const lease = takeLease(store, verified.digest, () => wanted.map(({ digest }) => digest));
  try {
    const missing = missingOf(wanted, stores);
    const total = amountOf(missing);
    new FreeSpace(store.files, request.minFree).require(total.bytes);
    const fetcher = new Fetcher({
      store,
      sources,
      ...defined({ jobs }),
      durability,
      minFree,
    });
    try {
      const { objects, bytes, failed, untried } = await fetchAll(fetcher, missing, {
        signal,
        onProgress: (progress) => request.onProgress?.(progress, total),
      });
      return {
        wanted: amountOf(wanted),
        missing: total,
        fetched: { objects, bytes },
        failed,
        untried,
        sources: fetcher.stats(),
      };
    } finally {
      await fetcher.close();
    }
  } finally {
    lease?.release();
  }
}

/** The objects of the files that the patterns match, or of all; sorted by digest. */
function wantedObjects(verified: VerifiedImage, paths: readonly string[] = []): WantedObject[] {
  const { image } = verified;
  if (paths.length === 0) return [...objectsOf(image)].map(([digest, size]) => ({ digest, size }));
  const patterns = paths.map((text) => ({ text, pattern: new PathPattern(text), used: false }));
  const objects = new Map<VerityDigest, number>();
  for (const { path, inode } of walkFiles(new ImageView(image))) {
    const matching = patterns.filter(({ pattern }) => pattern.matches(path));
    for (const each of matching) each.used = true;
    if (matching.length === 0 || (inode.mode & S_IFMT) !== S_IFREG) continue;
    const content = image.content(inode);
    if (content.kind === "object") objects.set(content.digest, content.size);
  }
  const unused = patterns.find(({ used }) => !used);
  if (unused !== undefined) {
    throw new NotFoundError("NO_FILE", `${unused.text}: matches no file of the image`, {
      hint: "sealfs ls -R lists what the image has",
    });
  }
  return [...objects]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([digest, size]) => ({ digest, size }));
}

function missingOf(wanted: readonly WantedObject[], stores: Stores): WantedObject[] {
  return wanted.filter(({ digest, size }) => !isPresent(stores, digest, size));
}

function amountOf(objects: readonly WantedObject[]): Amount {
  return { objects: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}
