/**
 * Removing what nothing leads to. Under the exclusive lock of the store: mark from the roots, then
 *
 * 1. unlink the images, bundles and seek indexes that are no longer wanted, and sync;
 * 2. move objects without a mark to `quarantine/`, and unlink them there;
 * 3. unlink leaf caches of objects that are gone, and what is remembered of layers that no wanted
 *    image was built of.
 *
 * Names go before what they lead to, so that a gc that ends at any point, by a signal or a power
 * failure, leaves a good store with less to do for the next one.
 *
 * Spec: docs/store.md, "Garbage collection".
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { FormatError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import { findRoots, markFrom } from "./roots.ts";
import { fileSystemOf } from "../durability.ts";
import { StoreLock, exclusively } from "../lock.ts";
import { type ObjectName, listObjectNames } from "../object-names.ts";
import { type Emptied, emptyQuarantine, removeObjects } from "../quarantine.ts";
import { uselessLayerFiles } from "../layers/layer-names.ts";
import { reapStaging } from "../staging.ts";
import type { Store } from "../store.ts";

export interface GcOptions {
  /** Images to keep of each name, the current one included; 1 by default. */
  readonly keep?: number;
  /** Only report what would be removed. */
  readonly dryRun?: boolean;
  /** Also remove the wrong files that are in quarantine. */
  readonly quarantine?: boolean;
  /** How long to wait for writers. */
  readonly timeoutMs?: number;
  /** Replaces the sync of the file system, in tests. */
  readonly sync?: () => void;
  /** How long {@link collectGarbageUntil} goes on without hearing of a signal. */
  readonly hearEveryMs?: number;
}

/** What gc did, or with `dryRun` would do. Sizes in bytes. */
export interface GcResult {
  readonly kept: { readonly images: number; readonly objects: number };
  readonly removed: {
    readonly images: readonly VerityDigest[];
    /** Bundles and seek indexes of images that are not kept. */
    readonly bundles: number;
    readonly seekIndexes: number;
    /** The images among them. */
    readonly objects: number;
    readonly objectBytes: number;
    readonly leafCaches: number;
    readonly leafCacheBytes: number;
    /** What was remembered of layers: files. */
    readonly layers: number;
    readonly layerBytes: number;
    /** Leases of processes that are dead. */
    readonly leases: number;
    readonly quarantine: Emptied;
  };
  readonly dryRun: boolean;
}

/**
 * Collects garbage.
 *
 * @throws {@link SystemError} `BUSY` when writers do not end in time; `IO` when a wanted image
 *   cannot be read or the file system has no locks: nothing was removed then
 * @throws {@link FormatError} `MALFORMED` for a ref or a lease that cannot be understood,
 *   `UNSUPPORTED` for a store that holds what sealfs does not know how to keep
 */
export function collectGarbage(store: Store, options: GcOptions = {}): GcResult {
  return exclusively(store, options.timeoutMs, () => {
    const steps = new Collector(store, options).run();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  });
}

/**
 * The same, letting the process hear of other things now and then. `signal` ends it between two
 * steps; what is left is for the next one to do.
 */
export async function collectGarbageUntil(
  signal: AbortSignal,
  store: Store,
  options: GcOptions = {},
): Promise<GcResult> {
  const { hearEveryMs = 50 } = options;
  const lock = await StoreLock.exclusiveUntil(signal, store, options.timeoutMs);
  try {
    const steps = new Collector(store, options).run();
    for (let heard = performance.now(); ;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (performance.now() - heard < hearEveryMs) continue;
      await setImmediate(undefined, { signal });
      heard = performance.now();
    }
  } catch (error) {
    throw failure(`store ${store.path}`, error);
  } finally {
    lock.release();
  }
}

class Collector {
  readonly #store: Store;
  readonly #options: GcOptions;
  readonly #dryRun: boolean;

  constructor(store: Store, options: GcOptions) {
    this.#store = store;
    this.#options = options;
    this.#dryRun = options.dryRun === true;
  }

  /** Stops where it does no harm to end, or to wait. */
  *run(): Generator<void, GcResult, undefined> {
    refuseForeign(this.#store);
    const roots = findRoots(this.#store, this.#options.keep ?? 1);
    const marks = yield* markFrom(this.#store, roots);

    if (!this.#dryRun) reapStaging(this.#store);
    for (const lease of roots.deadLeases) this.#unlink(lease);
    const quarantine = this.#emptyQuarantine();
    const images = this.#sweepLinks(roots.images);
    const bundles = this.#sweepFolder("bundles", roots.images);
    const seekIndexes = this.#sweepFolder("seek", roots.images);
    if (images.length + bundles + seekIndexes > 0) this.#sync();
    const { kept, count: objects, bytes: objectBytes } = yield* this.#sweepObjects(marks);
    const caches = yield* this.#sweepLeafCaches(marks);
    const layers = this.#sweepLayers(roots.images);
    return {
      kept: { images: roots.images.size, objects: kept },
      removed: {
        images,
        bundles,
        seekIndexes,
        objects,
        objectBytes,
        leafCaches: caches.count,
        leafCacheBytes: caches.bytes,
        layers: layers.count,
        layerBytes: layers.bytes,
        leases: roots.deadLeases.length,
        quarantine,
      },
      dryRun: this.#dryRun,
    };
  }

  #emptyQuarantine(): Emptied {
    return emptyQuarantine(this.#store, this.#options.quarantine === true, this.#dryRun);
  }

  #sweepLinks(wanted: ReadonlySet<VerityDigest>): VerityDigest[] {
    const unwanted = this.#store.images.ids().filter((id) => !wanted.has(id));
    for (const id of unwanted) this.#unlink(`images/${id}`);
    return unwanted;
  }

  /** Removes what belongs to unwanted images; entries whose name is not an image's id stay. */
  #sweepFolder(folder: "bundles" | "seek", wanted: ReadonlySet<VerityDigest>): number {
    let count = 0;
    const { files } = this.#store;
    for (const id of files.names(folder)) {
      if (!ID.test(id) || wanted.has(id as VerityDigest)) continue;
      const name = `${folder}/${id}`;
      const isDirectory = files.stat(name)?.isDirectory() === true;
      count += folder === "bundles" && isDirectory ? files.names(name).length : 1;
      if (!this.#dryRun) files.removeTree(name);
    }
    return count;
  }

  #sync(): void {
    if (this.#dryRun) return;
    if (this.#options.sync !== undefined) {
      this.#options.sync();
      return;
    }
    const fileSystem = fileSystemOf(this.#store.files);
    try {
      fileSystem.sync();
    } finally {
      fileSystem.close();
    }
  }

  /** One fan-out directory at a time: few names in memory, few files in quarantine at once. */
  *#sweepObjects(marks: ReadonlySet<VerityDigest>) {
    let kept = 0;
    let count = 0;
    let bytes = 0;
    let doomed = new Map<string, string>();
    let fan = "";
    const flush = () => {
      if (!this.#dryRun) removeObjects(this.#store, doomed);
      doomed = new Map();
    };
    for (const { digest, name } of listObjectNames(this.#store)) {
      yield;
      if (digest === undefined) continue; // fsck reports it
      if (marks.has(digest)) {
        kept += 1;
        continue;
      }
      if (!digest.startsWith(fan)) flush();
      fan = digest.slice(0, 2);
      count += 1;
      bytes += this.#sizeOf(name);
      doomed.set(digest, name);
    }
    flush();
    return { kept, count, bytes };
  }

  *#sweepLeafCaches(marks: ReadonlySet<VerityDigest>) {
    let count = 0;
    let bytes = 0;
    const unwanted = ({ digest }: ObjectName) => digest !== undefined && !marks.has(digest);
    for (const cache of listObjectNames(this.#store, { directory: "verity" })) {
      yield;
      if (!unwanted(cache)) continue;
      count += 1;
      bytes += this.#sizeOf(cache.name);
      if (!this.#dryRun) this.#store.files.removeTree(cache.name);
    }
    return { count, bytes };
  }

  #sweepLayers(wanted: ReadonlySet<VerityDigest>) {
    let count = 0;
    let bytes = 0;
    for (const name of uselessLayerFiles(this.#store, wanted)) {
      count += 1;
      bytes += this.#sizeOf(name);
      if (!this.#dryRun) this.#store.files.removeTree(name);
    }
    return { count, bytes };
  }

  #sizeOf(name: string): number {
    return this.#store.files.stat(name)?.size ?? 0;
  }

  #unlink(name: string): void {
    if (this.#dryRun) return;
    try {
      this.#store.files.unlink(name);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
}

const ID = /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/;

/** A composefs-rs repository keeps objects by streams that sealfs does not read. */
function refuseForeign(store: Store): void {
  if (store.files.names("streams").length === 0) return;
  throw new FormatError("UNSUPPORTED", `gc: ${store.path} holds the streams of composefs-rs`, {
    hint: "only its own tools know which objects these need: cfsctl gc",
  });
}
