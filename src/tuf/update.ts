/**
 * One update from a TUF repository, by tuf-js: root, timestamp, snapshot and targets, and the files
 * that they list.
 *
 * Spec: TUF 1.0.34, section 5 (client workflow).
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Updater } from "tuf-js";
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { BASE, CheckedFetcher } from "./fetcher.ts";
import { TufMemory } from "./memory.ts";
import type { TufPlace } from "./place.ts";
import { printable, refusalOf } from "./refusal.ts";
import { TrustedMetadata } from "./trusted-metadata.ts";

/** A repository, and what is known of it already. */
export interface TufRepository {
  readonly place: TufPlace;
  /** The folder of trusted metadata. */
  readonly folder: string;
  /** The root to begin with, when the folder is new. */
  readonly root?: Uint8Array | undefined;
}

/** A repository whose metadata is up to date. */
export interface UpdatedRepository {
  /**
   * The bytes of a target, its length and hashes checked; undefined when it is not listed. `before`
   * is returned when it is still what is listed.
   */
  target(path: string, before?: Uint8Array): Promise<Uint8Array | undefined>;
}

/**
 * Brings the trusted metadata up to date, and lets `use` ask for targets.
 *
 * @throws {@link TrustError} `TUF_EXPIRED`, `TUF_ROLLBACK` or `BAD_TUF`; `BAD_STATE` or
 *   `STATE_NOT_KEPT` about the memory; {@link NetworkError} when the repository cannot be read
 */
export async function updateRepository<T>(
  { place, folder, root }: TufRepository,
  now: Date,
  use: (repository: UpdatedRepository) => Promise<T>,
): Promise<T> {
  const memory = await TufMemory.open(folder, root);
  try {
    const fetcher = new CheckedFetcher(place, memory.work);
    const { updater, trusted } = openUpdater(memory.work, fetcher, now);
    try {
      try {
        await updater.refresh();
        memory.keep();
        return await use({
          target: (path, before) => readTarget(updater, memory.work, path, before),
        });
      } finally {
        memory.keep(); // what was verified before something failed, and delegated roles
      }
    } catch (error) {
      const last = { failure: fetcher.failure, refusal: trusted.refusal };
      throw refusalOf(error, last, place.text);
    }
  } finally {
    memory.close();
  }
}

function openUpdater(
  work: string,
  fetcher: CheckedFetcher,
  now: Date,
): { readonly updater: Updater; readonly trusted: TrustedMetadata } {
  try {
    const updater = new Updater({
      metadataDir: work,
      metadataBaseUrl: `${BASE}metadata/`,
      targetBaseUrl: `${BASE}targets/`,
      fetcher,
      config: {
        maxRootRotations: limits.tufRootRotations,
        maxDelegations: limits.tufDelegations,
        rootMaxLength: limits.tufRootBytes,
        timestampMaxLength: limits.tufTimestampBytes,
        snapshotMaxLength: limits.tufMetadataBytes,
        targetsMaxLength: limits.tufMetadataBytes,
      },
    });
    const trusted = new TrustedMetadata(readFileSync(join(work, "root.json")), now);
    updater["trustedSet"] = trusted;
    return { updater, trusted };
  } catch (cause) {
    const why = cause instanceof Error ? printable(cause.message) : String(cause);
    throw new TrustError("BAD_TUF", `TUF root: ${why}`, { cause });
  }
}

async function readTarget(
  updater: Updater,
  work: string,
  path: string,
  before: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const info = await updater.getTargetInfo(path);
  if (info === undefined) return undefined;
  if (info.length > limits.envelopeBytes) {
    const most = limits.envelopeBytes;
    throw new TrustError(
      "BAD_TUF",
      `target ${path}: expected at most ${most} bytes, got one of ${info.length} listed`,
    );
  }
  const file = join(work, "target");
  if (before !== undefined) {
    writeFileSync(file, before);
    if ((await updater.findCachedTarget(info, file)) !== undefined) return before;
  }
  return readFileSync(await updater.downloadTarget(info, file));
}
