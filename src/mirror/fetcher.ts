/**
 * Gets objects from sources into a store: each once, however many ask for it; a bounded number at a
 * time; every one compared with its digest before it is published.
 *
 * @module
 */
import type { Durability } from "../store/transaction.ts";
import type { Store } from "../store/store.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { Provenance, download } from "./download.ts";
import { type Attempt, attemptSource, failover, isFaultOfSource } from "./failover.ts";
import { type FetchUnit, objectsOf } from "./fetch-plan.ts";
import { Flights } from "./flights.ts";
import { Landings, readGroup } from "./group.ts";
import { Health, type SourceStats } from "./health.ts";
import { openIntake } from "./intake.ts";
import { Publisher } from "./publisher.ts";
import { Slots } from "./slots.ts";
import type { ObjectSource, WantedObject } from "./source.ts";

export interface FetcherOptions {
  /** Where objects go. */
  readonly store: Store;
  /** In the order in which they are asked. */
  readonly sources: readonly ObjectSource[];
  readonly health?: Health;
  /** Requests at a time. */
  readonly jobs?: number;
  /** Milliseconds for one object, beside one for each 1000 of its bytes. */
  readonly deadlineMs?: number;
  /** How long an object may wait to be published together with others. */
  readonly lingerMs?: number;
  readonly durability?: Durability | undefined;
  /** Per cent of the file system that stay free. */
  readonly minFree?: number | undefined;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Before everything that is not: somebody waits for it. */
  readonly isUrgent?: boolean;
  /** How long sources that cannot be reached are asked again; by default once more, after a moment. */
  readonly patienceMs?: number;
  /** Hears of bytes as they come; bytes that were in vain count too. */
  readonly onBytes?: (bytes: number) => void;
}

const JOBS = 8;
const DEADLINE_MS = 60_000;
const LINGER_MS = 1_000;
/** What a source must give at least, in bytes per ms. */
const LEAST_RATE = 1;

/** Fetches objects into one store. */
export class Fetcher {
  readonly store: Store;
  readonly sources: readonly ObjectSource[];
  readonly health: Health;
  readonly jobs: number;
  readonly #deadlineMs: number;
  readonly #flights = new Flights<VerityDigest>();
  readonly #slots: Slots;
  readonly #publisher: Publisher;

  constructor(options: FetcherOptions) {
    this.store = options.store;
    this.sources = options.sources;
    this.health = options.health ?? new Health();
    this.jobs = options.jobs ?? JOBS;
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#slots = new Slots(this.jobs);
    this.#publisher = new Publisher(options.store, {
      lingerMs: options.lingerMs ?? LINGER_MS,
      durability: options.durability,
      minFree: options.minFree,
    });
  }

  /** Whether an object is on its way. */
  isFetching(digest: VerityDigest): boolean {
    return this.#flights.has(digest);
  }

  /**
   * Gets an object; when this resolves, it is in the store.
   *
   * @throws {@link FetchError} when no source has it right; {@link SystemError} when the store
   *   cannot take it; the reason of `signal`
   */
  fetch(object: WantedObject, options: FetchOptions = {}): Promise<void> {
    return this.#flights.run(object.digest, options.signal, (signal) =>
      this.#fetchOne(object, { ...options, signal }),
    );
  }

  /**
   * Gets the objects of a unit that are not on their way yet, in one request; those that do not come
   * right come as `otherwise` says, and else one by one.
   */
  fetchUnit(unit: FetchUnit, options: UnitOptions): UnitFetch {
    const { adopted = [], signal } = options;
    const taken = new Set(adopted.map(({ digest }) => digest));
    const fresh = objectsOf(unit).filter(({ digest }) => !taken.has(digest));
    const ours = fresh.filter(({ digest }) => !this.#flights.has(digest));
    const landings = new Landings([...ours, ...adopted]);
    const isNeeded = ours.length + adopted.length > 0;
    const read = isNeeded ? this.#read(unit, landings, options) : Promise.resolve();
    const objects = fresh.map((object) => ({
      object,
      done: this.#flights.run(object.digest, signal, (ended) =>
        this.#land(object, landings, { ...options, signal: ended }),
      ),
    }));
    return { read, landings, objects };
  }

  /** Publishes what is waiting for others, now. */
  flush(): void {
    this.#publisher.flush();
  }

  stats(): readonly SourceStats[] {
    return this.health.stats(this.sources);
  }

  /** Publishes what has come and lets go of the sources. */
  async close(): Promise<void> {
    this.flush();
    for (const source of this.sources) await source.close?.();
  }

  async #fetchOne(object: WantedObject, options: FetchOptions): Promise<void> {
    const { signal, isUrgent = false, patienceMs, onBytes } = options;
    // The place is free for the next while this one waits to be published.
    const { published } = await this.#slots.run(signal, isUrgent, async () => {
      const intake = await openIntake(this.store, object);
      const provenance = new Provenance(intake);
      try {
        await failover({
          object,
          sources: this.sources,
          health: this.health,
          deadlineMs: this.#deadlineMs + object.size / LEAST_RATE,
          waitMs: patienceMs ?? this.#deadlineMs / 2,
          isPatient: patienceMs !== undefined,
          signal,
          attempt: (source, attempt) =>
            download(source, object, intake, provenance, counting(attempt, onBytes)),
        });
      } catch (error) {
        intake.abandon({ keep: true });
        throw error;
      }
      return { published: intake.publish(this.#publisher) };
    });
    await published;
  }

  async #land(object: WantedObject, first: Landings, options: UnitOptions): Promise<void> {
    let landings: Landings | undefined = first;
    while (landings !== undefined) {
      const landed = await landings.of(object);
      if (landed !== undefined) return landed.published;
      landings = await options.otherwise?.(object);
    }
    await this.#fetchOne(object, options);
  }

  /** Never throws: what did not land is fetched otherwise. */
  async #read(
    unit: FetchUnit,
    landings: Landings,
    { signal, isUrgent = false, isForced = false, onBytes }: UnitOptions,
  ): Promise<void> {
    const { health } = this;
    const { source } = unit;
    try {
      await this.#slots.run(signal, isUrgent, async () => {
        if (!isForced && !health.isFit(source)) return;
        const [object] = objectsOf(unit);
        await attemptSource(
          {
            object: object!,
            health,
            signal,
            attempt: (_, attempt) => this.#readUnit(unit, landings, counting(attempt, onBytes)),
          },
          source,
          this.#shareOf(unit),
          this.sources,
        );
      });
    } catch (error) {
      const [next] = landings.open();
      const isTheirs = signal?.aborted !== true && isFaultOfSource(error);
      if (isTheirs && next !== undefined) health.blame(source, next, error);
    } finally {
      landings.end();
    }
  }

  /** Of the time for an object, others are to have their share. */
  #shareOf(unit: FetchUnit): number {
    if ("group" in unit) return this.#deadlineMs + unit.group.cost / LEAST_RATE;
    return (this.#deadlineMs + unit.object.size / LEAST_RATE) / this.sources.length;
  }

  async #readUnit(unit: FetchUnit, landings: Landings, attempt: Attempt): Promise<void> {
    const { health, store } = this;
    const publisher = this.#publisher;
    if ("group" in unit) {
      const { source, group } = unit;
      return readGroup(group, landings, attempt, { source, health, store, publisher });
    }
    const intake = await openIntake(store, unit.object);
    try {
      await download(unit.source, unit.object, intake, new Provenance(intake), attempt);
    } catch (error) {
      intake.abandon({ keep: true });
      throw error;
    }
    landings.settle(unit.object, { published: intake.publish(publisher) });
  }
}

/** What is known of a unit beside it. */
export interface UnitOptions extends FetchOptions {
  /** Objects of the unit that are on their way already, and wait for it now. */
  readonly adopted?: readonly WantedObject[];
  /** The source is asked though it is cooling down. */
  readonly isForced?: boolean;
  /** For one that did not come: with what else it may come; undefined: alone. */
  readonly otherwise?: (object: WantedObject) => Promise<Landings | undefined>;
}

/** What became of a unit. */
export interface UnitFetch {
  /** When the request has come to its end, well or not. Never rejects. */
  readonly read: Promise<void>;
  readonly landings: Landings;
  /** For each object but those that were adopted, as {@link Fetcher.fetch}. */
  readonly objects: readonly { readonly object: WantedObject; readonly done: Promise<void> }[];
}

function counting(attempt: Attempt, onBytes: FetchOptions["onBytes"]): Attempt {
  if (onBytes === undefined) return attempt;
  const progress = (bytes: number) => {
    attempt.progress(bytes);
    onBytes(bytes);
  };
  return { signal: attempt.signal, progress };
}
