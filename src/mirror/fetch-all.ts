/**
 * Fetching many objects: as planned where the sources keep their word, from others where they do
 * not, and to the end even when some objects cannot be had.
 *
 * @module
 */
import { setMaxListeners } from "node:events";
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises";
import { FetchError, SystemError } from "../errors.ts";
import { defined } from "../optional.ts";
import type { Fetcher } from "./fetcher.ts";
import { FetchQueue, type QueuedUnit } from "./fetch-queue.ts";
import type { ObjectSource, WantedObject } from "./source.ts";

export interface FetchAllOptions {
  readonly signal?: AbortSignal | undefined;
  /** As {@link FetchOptions.patienceMs}. */
  readonly patienceMs?: number | undefined;
  readonly onProgress?: (progress: FetchProgress) => void;
}

/** How far it is. */
export interface FetchProgress {
  /** Objects that are in the store now. */
  readonly objects: number;
  /** Bytes that have come. */
  readonly bytes: number;
}

/** An object that could not be had. */
export interface FailedObject {
  readonly object: WantedObject;
  readonly error: Error;
}

export interface FetchResult {
  /** Objects that came, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  readonly failed: readonly FailedObject[];
  /** Objects that were not asked for any more, since nothing else came either. */
  readonly untried: readonly WantedObject[];
}

/** Objects under way at a time, most of them waiting to be published. */
const WINDOW = 2048;
/** This many failures in a row, with no source fit to be asked, end it. */
const FAILURES_IN_A_ROW = 16;

/**
 * Fetches objects, each once. Resolves when there is nothing more to be had.
 *
 * @throws {@link SystemError} when the store cannot take them; the reason of `signal`: what was
 *   fetched until then is in the store
 */
export async function fetchAll(
  fetcher: Fetcher,
  objects: Iterable<WantedObject>,
  options: FetchAllOptions = {},
): Promise<FetchResult> {
  return new Bulk(fetcher, options).run(objects);
}

/** Before a source that could not be reached is asked again. */
const PAUSE_MS = 250;

class Bulk {
  readonly #fetcher: Fetcher;
  readonly #options: FetchAllOptions;
  readonly #stop = new AbortController();
  readonly #failed: FailedObject[] = [];
  #pending = 0;
  /** Called when one more is done. */
  #wake: (() => void)[] = [];
  #objects = 0;
  #bytes = 0;
  #received = 0;
  readonly #untried: WantedObject[] = [];
  #failuresInARow = 0;

  constructor(fetcher: Fetcher, options: FetchAllOptions) {
    this.#fetcher = fetcher;
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // every object under way listens
  }

  async run(objects: Iterable<WantedObject>): Promise<FetchResult> {
    const { signal } = this.#options;
    const stop = () => this.#stop.abort(signal!.reason);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      signal?.throwIfAborted();
      await this.#start(objects);
      this.#fetcher.flush();
      await this.#settled(0);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    const { reason } = this.#stop.signal as { reason: unknown };
    if (this.#stop.signal.aborted && !(reason instanceof GaveUp)) throw reason;
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      failed: this.#failed,
      untried: this.#untried,
    };
  }

  async #start(objects: Iterable<WantedObject>): Promise<void> {
    const { sources, health, jobs } = this.#fetcher;
    const names = sources.map(({ name }) => name).join(", ") || "no sources";
    const queue = new FetchQueue(objects, sources, health, (object) => {
      const message = `object ${object.digest}: in none of ${names}`;
      this.#failed.push({ object, error: new FetchError("NO_SOURCE", message) });
    });
    const { signal } = this.#stop;
    const end = () => queue.end();
    signal.addEventListener("abort", end, { once: true });
    const work = async () => {
      for (let next = await queue.next(); next !== undefined; next = await queue.next()) {
        await this.#begin(next, queue);
        // Those who heard of it first, so that what did not come is there to be planned again.
        await tick();
        queue.done();
        // Those that wait for a request to come would wait for ever.
        await this.#settled(WINDOW, () => queue.waiting);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
    signal.removeEventListener("abort", end);
  }

  async #begin(queued: QueuedUnit, queue: FetchQueue): Promise<void> {
    const options = {
      signal: this.#stop.signal,
      ...defined({ patienceMs: this.#options.patienceMs }),
      onBytes: (bytes: number) => {
        this.#received += bytes;
        this.#report();
      },
    };
    const fetcher = this.#fetcher;
    const { unit, waiting } = queued;
    const { source } = unit;
    const isAborted = this.#stop.signal.aborted;
    if ("object" in unit && (isAborted || !this.#isGroupedElsewhere(unit.object, source))) {
      this.#track(unit.object, fetcher.fetch(unit.object, options));
      return;
    }
    let isForced = false;
    if (!isAborted && !fetcher.health.isFit(source)) {
      if (queue.defer(queued)) return;
      isForced = true;
      await this.#pause(fetcher.health.busyMs(source) || PAUSE_MS);
    }
    const adopted = waiting.map(({ object }) => object);
    const otherwise = (object: WantedObject) => queue.otherwise(object);
    const begun = fetcher.fetchUnit(unit, { ...options, adopted, isForced, otherwise });
    for (const { resolve } of waiting) resolve(begun.landings);
    for (const { object, done } of begun.objects) this.#track(object, done);
    await begun.read;
  }

  /** Whether an object that this source does not give comes with others from another. */
  #isGroupedElsewhere(object: WantedObject, source: ObjectSource): boolean {
    return this.#fetcher.sources.some(
      (other) => other !== source && other.groups !== undefined && other.cost(object) !== undefined,
    );
  }

  /** Before a source is asked again that failed, and is all there is. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  #track(object: WantedObject, promise: Promise<void>): void {
    this.#pending += 1;
    void promise
      .then(
        () => this.#arrived(object),
        (error: unknown) => this.#missed(object, error),
      )
      .finally(() => {
        this.#pending -= 1;
        for (const wake of this.#wake.splice(0)) wake();
      });
  }

  #arrived({ size }: WantedObject): void {
    this.#objects += 1;
    this.#bytes += size;
    this.#failuresInARow = 0;
    this.#report();
  }

  #missed(object: WantedObject, error: unknown): void {
    if (this.#stop.signal.aborted) {
      this.#untried.push(object);
      return;
    }
    if (!(error instanceof FetchError)) {
      // The store cannot take it, or something is wrong with us: the next would fare no better.
      this.#stop.abort(error instanceof Error ? error : new SystemError("IO", String(error)));
      return;
    }
    this.#failed.push({ object, error });
    this.#failuresInARow += 1;
    const { sources, health } = this.#fetcher;
    if (this.#failuresInARow < FAILURES_IN_A_ROW) return;
    if (!sources.some((source) => health.isFit(source))) this.#stop.abort(new GaveUp());
  }

  #report(): void {
    this.#options.onProgress?.({ objects: this.#objects, bytes: this.#received });
  }

  /** Waits until at most `count` are under way, but for those that `idle` counts. */
  async #settled(count: number, idle: () => number = () => 0): Promise<void> {
    while (this.#pending - idle() > count)
      await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
}

class GaveUp extends Error {
  override readonly name = "GaveUp";
}
