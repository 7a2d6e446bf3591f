/**
 * What of many objects is to be asked for next. What does not come as planned is planned again,
 * together with what was planned like it: objects out of layers stay in groups when the source that
 * was to give them fails, and when the failed one gives no groups itself.
 *
 * @module
 */
import type { Landings } from "./group.ts";
import { type FetchUnit, objectsOf, planFetch } from "./fetch-plan.ts";
import type { Health } from "./health.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { ObjectSource, WantedObject } from "./source.ts";

/** A request, and how often its objects were planned before. */
export interface QueuedUnit {
  readonly unit: FetchUnit;
  readonly round: number;
  /** Objects on their way already, which wait for this request now. */
  readonly waiting: readonly Waiting[];
}

/** An object that did not come, and is on its way all the same. */
interface Waiting {
  readonly object: WantedObject;
  readonly resolve: (landings: Landings | undefined) => void;
}

export class FetchQueue {
  readonly #sources: readonly ObjectSource[];
  readonly #health: Health;
  readonly #onAbsent: (object: WantedObject) => void;
  /** The next one is the last. */
  readonly #units: QueuedUnit[] = [];
  /** Objects whose source was not fit any more when they would have been asked for. */
  readonly #deferred: WantedObject[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #rounds = new Map<VerityDigest, number>();
  /** Requests under way. */
  #reading = 0;
  readonly #wake: (() => void)[] = [];

  /** `onAbsent` hears of objects that no source has. */
  constructor(
    objects: Iterable<WantedObject>,
    sources: readonly ObjectSource[],
    health: Health,
    onAbsent: (object: WantedObject) => void,
  ) {
    this.#sources = sources;
    this.#health = health;
    this.#onAbsent = onAbsent;
    this.#plan(objects, 0, []);
  }

  /** The next request; {@link done} has to be called for each. Undefined when there is none left. */
  async next(): Promise<QueuedUnit | undefined> {
    for (;;) {
      const unit = this.#units.pop();
      if (unit !== undefined) {
        this.#reading += 1;
        return unit;
      }
      if (this.#deferred.length > 0 || (this.#reading === 0 && this.#waiting.length > 0)) {
        this.#planAgain();
      } else if (this.#reading === 0) return undefined;
      else await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** How many objects are on their way and wait to be planned again. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** A request has come to its end, and so have those who heard of it. */
  done(): void {
    this.#reading -= 1;
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Puts a unit off that would be asked in vain; false when that was done often enough. */
  defer({ unit, round, waiting }: QueuedUnit): boolean {
    if (round >= this.#sources.length) return false;
    const adopted = new Set(waiting.map(({ object }) => object.digest));
    for (const object of objectsOf(unit)) {
      this.#rounds.set(object.digest, round + 1);
      if (!adopted.has(object.digest)) this.#deferred.push(object);
    }
    this.#waiting.push(...waiting);
    return true;
  }

  /** Where an object that did not come comes together with others; undefined: nowhere. */
  otherwise(object: WantedObject): Promise<Landings | undefined> {
    const round = (this.#rounds.get(object.digest) ?? 0) + 1;
    this.#rounds.set(object.digest, round);
    if (round > this.#sources.length || !this.#isGrouped(object)) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push({ object, resolve }));
  }

  /** Nobody waits for any of it any more. */
  end(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
  }

  /** Whether a source that may be asked gives it together with others. */
  #isGrouped(object: WantedObject): boolean {
    const { ask } = this.#health.order(this.#sources, object);
    return ask.some((source) => source.groups !== undefined && source.cost(object) !== undefined);
  }

  #planAgain(): void {
    const waiting = this.#waiting.splice(0);
    const deferred = this.#deferred.splice(0);
    const all = [...deferred, ...waiting.map(({ object }) => object)];
    let round = 0;
    for (const { digest } of all) round = Math.max(round, this.#rounds.get(digest) ?? 0);
    this.#plan(all, round, waiting);
  }

  #plan(objects: Iterable<WantedObject>, round: number, waiting: readonly Waiting[]): void {
    const { units, absent } = planFetch(objects, this.#sources, this.#health);
    const open = new Map(waiting.map((each) => [each.object.digest, each]));
    for (const object of absent) if (!open.has(object.digest)) this.#onAbsent(object);
    for (const unit of units.toReversed()) {
      const adopted = objectsOf(unit).flatMap(({ digest }) => open.get(digest) ?? []);
      for (const { object } of adopted) open.delete(object.digest);
      this.#units.push({ unit, round, waiting: adopted });
    }
    for (const { resolve } of open.values()) resolve(undefined);
  }
}
