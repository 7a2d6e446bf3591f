/**
 * Fetching many objects: as planned where the sources keep their word, from others where they do
 * not, and to the end even when some objects cannot be had.
 *
 * @module
 */
import { setMaxListeners } from "node:events";
import { FetchError, SystemError } from "../errors.ts";
import { defined } from "../optional.ts";
import type { Fetcher } from "./fetcher.ts";
import { type FetchUnit, planFetch } from "./fetch-plan.ts";
import type { WantedObject } from "./source.ts";

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
    const { units, absent } = planFetch(objects, sources, health);
    const names = sources.map(({ name }) => name).join(", ") || "no sources";
    for (const object of absent) {
      const message = `object ${object.digest}: in none of ${names}`;
      this.#failed.push({ object, error: new FetchError("NO_SOURCE", message) });
    }
    const queue = units.values();
    const work = async () => {
      for (const unit of queue) {
        await this.#begin(unit);
        await this.#settled(WINDOW);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  }

  async #begin(unit: FetchUnit): Promise<void> {
    const options = {
      signal: this.#stop.signal,
      ...defined({ patienceMs: this.#options.patienceMs }),
      onBytes: (bytes: number) => {
        this.#received += bytes;
        this.#report();
      },
    };
    const fetcher = this.#fetcher;
    if ("object" in unit) {
      this.#track(unit.object, fetcher.fetch(unit.object, options));
      return;
    }
    const { source, group } = unit;
    if (this.#stop.signal.aborted || fetcher.health.isFit(source)) {
      const { read, objects } = fetcher.fetchGroup(source, group, options);
      for (const [i, promise] of objects.entries()) this.#track(group.objects[i]!, promise);
      await read;
      return;
    }
    // Since it was planned, its source has failed: others may have the same in groups too.
    const { units } = planFetch(group.objects, fetcher.sources, fetcher.health);
    for (const other of units) {
      if ("object" in other || other.source !== source) await this.#begin(other);
      else {
        for (const object of other.group.objects) {
          this.#track(object, fetcher.fetch(object, options));
        }
      }
    }
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

  /** Waits until at most `count` are under way. */
  async #settled(count: number): Promise<void> {
    while (this.#pending > count) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
}

class GaveUp extends Error {
  override readonly name = "GaveUp";
}
