/**
 * Objects that come while they are read: small ones whole, large ones block by block, from sources
 * that nobody trusts. What has come lies in a staging directory of the store, checked, and is
 * published when it is whole.
 *
 * - Of an object over 1 MiB the leaf hashes come first, checked against the object's name; then
 *   only the blocks that are read, and some ahead of readers that go on in order.
 * - A block that fails its check blames its source, and the next one is asked for it.
 * - Where no source has leaf hashes the object is fetched whole; {@link LazyStats.whole} says so.
 *
 * @module
 */
import { setMaxListeners } from "node:events";
import { IntegrityError, NetworkError } from "../errors.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { LEAVES_ABOVE } from "../store/leaves.ts";
import { keepWhole } from "../store/kept-object.ts";
import { PartialObject } from "../store/partial-objects.ts";
import { StagingDirectory } from "../store/staging.ts";
import type { Stores } from "../store/stores.ts";
import { type VerityDigest, algorithmOf, verityDigestOf } from "../verity/index.ts";
import { collect } from "./collect.ts";
import { failover } from "./failover.ts";
import type { Health } from "./health.ts";
import { UnpublishedObjects } from "./unpublished-objects.ts";
import { LazyObject } from "./lazy-object.ts";
import { type ByteRange, type ObjectSource, type WantedObject, wholeOf } from "./source.ts";

export interface LazyOptions {
  /** The first takes what has come; all may have leaf hashes. */
  readonly stores: Stores;
  readonly sources: readonly ObjectSource[];
  readonly health: Health;
  /** Milliseconds that a reader waits at most. */
  readonly deadlineMs: number;
  /** Gets an object that can only come whole into the store. */
  readonly fetchWhole: (object: WantedObject) => Promise<void>;
  /** Hears of what went wrong apart from any reader. */
  readonly onProblem?: (message: string) => void;
}

/** What has come so far. */
export interface LazyStats {
  /** Bytes of objects that readers asked for, and those that came ahead of them. */
  readonly bytes: number;
  /** Objects that came, wholly or in part. */
  readonly objects: number;
  /** Large objects that were fetched whole, and why. */
  readonly whole: readonly { readonly digest: VerityDigest; readonly reason: string }[];
}

/** The objects that one mount fetches on demand. */
export class LazyObjects {
  readonly #options: LazyOptions;
  readonly #staging: StagingDirectory;
  readonly #unpublished: UnpublishedObjects;
  /** Small objects, and leaf hashes of large ones, that are on their way. */
  readonly #coming = new Map<VerityDigest, Promise<void>>();
  readonly #parts = new Map<VerityDigest, LazyObject>();
  readonly #whole = new Map<VerityDigest, string>();
  readonly #ending = new AbortController();
  #bytes = 0;
  #objects = 0;

  /** @throws {@link SystemError} when the store cannot be written to */
  constructor(options: LazyOptions) {
    this.#options = options;
    setMaxListeners(0, this.#ending.signal); // one for each request that waits
    this.#staging = StagingDirectory.create(options.stores.first);
    this.#unpublished = new UnpublishedObjects(options.stores.first, (error) =>
      options.onProblem?.(`what was fetched could not be kept: ${error.message}`),
    );
  }

  /** Where objects are of which a part is there. */
  get directory(): HeldDirectory {
    return this.#staging.files;
  }

  /**
   * Resolves when the object can be opened, or with a `range` when these bytes can be read.
   *
   * @throws {@link FetchError} with what was wrong with each source; {@link NetworkError}
   *   `TIMEOUT` at the deadline; {@link SystemError} when what came cannot be written
   */
  async provide(
    object: WantedObject,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { deadlineMs } = this.#options;
    await within(deadlineMs, signal, object, this.#provide(object, range));
  }

  stats(): LazyStats {
    const whole = [...this.#whole].map(([digest, reason]) => ({ digest, reason }));
    return { bytes: this.#bytes, objects: this.#objects, whole };
  }

  /** Publishes what is whole and lets go of the rest. */
  close(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new NetworkError("UNREACHABLE", "the mount has ended"));
    for (const part of this.#parts.values()) this.#leave(part);
    this.#unpublished.flush();
    this.#staging.remove();
  }

  #leave(part: LazyObject): void {
    try {
      part.leave(this.#options.stores.first);
    } catch (error) {
      this.#options.onProblem?.(`what was fetched could not be kept: ${(error as Error).message}`);
    }
  }

  async #provide(object: WantedObject, range: ByteRange | undefined): Promise<void> {
    const { digest, size } = object;
    // It came a moment ago, while the request was on its way here.
    if (this.#unpublished.has(digest)) return;
    if (this.#unpublished.wasPublished(digest) && this.#isGood(object)) return;
    if (size <= LEAVES_ABOVE) return this.#once(digest, () => this.#getSmall(object));
    if (!this.#parts.has(digest) && !this.#whole.has(digest)) {
      await this.#once(digest, () => this.#begin(object));
    }
    if (this.#unpublished.has(digest)) return; // an earlier mount had all of it
    const part = this.#parts.get(digest);
    if (part === undefined) return this.#once(digest, () => this.#options.fetchWhole(object));
    if (range !== undefined) await part.provide(range);
  }

  /** One at a time for each object; others that ask get the same result. */
  #once(digest: VerityDigest, work: () => Promise<void>): Promise<void> {
    let coming = this.#coming.get(digest);
    if (coming === undefined) {
      coming = work().finally(() => this.#coming.delete(digest));
      this.#coming.set(digest, coming);
    }
    return coming;
  }

  async #getSmall(object: WantedObject): Promise<void> {
    const { digest, size } = object;
    const bytes = await this.#ask(object, this.#options.sources, async (source, attempt) => {
      const got = await collect(source.read(object, wholeOf(object), attempt), size, attempt);
      const found = verityDigestOf(got, algorithmOf(digest));
      if (found === digest) return got;
      throw new IntegrityError("DIGEST_MISMATCH", `${source.name}: content has ${found}`);
    });
    this.#count(bytes.length);
    this.#objects += 1;
    this.#unpublished.add(keepWhole(this.#staging, digest, bytes));
  }

  /** Gets the leaf hashes of a large object, or decides that it has to come whole. */
  async #begin(object: WantedObject): Promise<void> {
    const { sources } = this.#options;
    const known = await this.#knownLeaves(object);
    if (known !== undefined) return this.#open(object, known);
    let holders = sources.filter((source) => source.leaves !== undefined);
    while (holders.length > 0) {
      const { source, part } = await this.#askLeaves(object, holders);
      if (part !== undefined) return this.#open(object, part);
      // To have none is no fault: the source is still good for the object itself.
      holders = holders.filter((holder) => holder !== source);
    }
    const reason = sources.length === 0 ? "no sources" : "no source has its leaf hashes";
    this.#whole.set(object.digest, reason);
  }

  /** A part with leaf hashes that are here already, when they are right. */
  async #knownLeaves(object: WantedObject): Promise<PartialObject | undefined> {
    const leaves = this.#options.stores.readLeaves(object.digest);
    if (leaves === undefined) return undefined;
    try {
      return await this.#resume(object, leaves);
    } catch (error) {
      if (error instanceof IntegrityError) return undefined;
      throw error;
    }
  }

  #resume(object: WantedObject, leaves: Uint8Array): Promise<PartialObject> {
    return PartialObject.resume(this.#options.stores.first, this.#staging, object, leaves);
  }

  #open(object: WantedObject, part: PartialObject): void {
    if (part.complete) {
      part.close();
      this.#unpublished.add(part);
      return;
    }
    const lazy = new LazyObject(part, async (run, onKept) => {
      await this.#getRun(object, part, run, onKept);
      if (part.complete && this.#parts.delete(object.digest)) this.#unpublished.add(lazy.release());
    });
    this.#objects += 1;
    this.#parts.set(object.digest, lazy);
  }

  #askLeaves(object: WantedObject, holders: readonly ObjectSource[]) {
    return this.#ask(object, holders, async (source, attempt) => {
      const leaves = await source.leaves!(object, attempt);
      if (leaves === undefined) return { source, part: undefined };
      attempt.progress(leaves.length);
      const part = await this.#resume(object, leaves);
      this.#options.stores.first.writeLeaves(object.digest, leaves);
      return { source, part };
    });
  }

  /** Gets a run of blocks, from as many sources as it takes. */
  async #getRun(
    object: WantedObject,
    part: PartialObject,
    run: ByteRange,
    onKept: () => void,
  ): Promise<void> {
    await this.#ask(object, this.#options.sources, async (source, attempt) => {
      // What an earlier source gave rightly need not come again.
      const [rest] = part.missing(run);
      if (rest === undefined) return;
      const range = { start: rest.start, end: run.end };
      await part.receive(range, source.read(object, range, attempt), (bytes) => {
        attempt.progress(bytes);
        this.#count(bytes);
        onKept();
      });
    });
  }

  #ask<T>(
    object: WantedObject,
    sources: readonly ObjectSource[],
    attempt: Parameters<typeof failover<T>>[0]["attempt"],
  ): Promise<T> {
    const { health, deadlineMs } = this.#options;
    const { signal } = this.#ending;
    return failover({ object, sources, health, deadlineMs, isPatient: true, signal, attempt });
  }

  #isGood({ digest, size }: WantedObject): boolean {
    return this.#options.stores.first.objects.state(digest, size) === "good";
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
  }
}

/** The result of `work`, unless time or patience ends first; `work` goes on for others then. */
async function within(
  ms: number,
  signal: AbortSignal,
  { digest }: WantedObject,
  work: Promise<void>,
): Promise<void> {
  work.catch(() => undefined); // when nobody waits for it any more
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `object ${digest}: not there after ${(ms / 1000).toFixed(1)} s`;
      reject(new NetworkError("TIMEOUT", message));
    }, ms);
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    await Promise.race([work, ended]);
  } finally {
    clearTimeout(timer);
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}
