/**
 * One large object of which blocks come while it is read. Each block is fetched once, however many
 * wait for it; a waiting reader goes on as soon as its own blocks are there; and readers that go on
 * in order find theirs there already.
 *
 * @module
 */
import type { PartialObject } from "../store/partial-objects.ts";
import type { Store } from "../store/store.ts";
import type { ByteRange } from "./source.ts";

/** What a request fetches at least, so that it is worth its delay. */
const LEAST_BYTES = 128 * 1024;
/** What is fetched ahead of a reader that goes on in order, at most. */
const MOST_AHEAD_BYTES = 8 * 1024 * 1024;
/** Requests of one reader overtake each other by so much. */
const DISORDER_BYTES = 512 * 1024;

/** Gets a run of whole blocks; calls `onKept` whenever some more of them are there. */
export type FetchRun = (run: ByteRange, onKept: () => void) => Promise<void>;

interface Waiter {
  readonly range: ByteRange;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class LazyObject {
  readonly #part: PartialObject;
  readonly #fetch: FetchRun;
  readonly #coming = new Set<ByteRange>();
  readonly #waiters = new Set<Waiter>();
  /** Where the last reader was, and how much is fetched ahead of it. */
  #last = Number.NEGATIVE_INFINITY;
  #ahead = 0;

  /** `fetch` gets runs into `part`. */
  constructor(part: PartialObject, fetch: FetchRun) {
    this.#part = part;
    this.#fetch = fetch;
  }

  /** Resolves when the blocks of `range` are there; rejects when one of them cannot be had. */
  provide(range: ByteRange): Promise<void> {
    this.#start(range);
    return new Promise((resolve, reject) => {
      this.#waiters.add({ range, resolve, reject });
      this.#wake();
    });
  }

  /** Fetches what is neither there nor on its way: what is asked for, and some more. */
  #start({ start, end }: ByteRange): void {
    const inOrder = start === 0 || Math.abs(start - this.#last) <= DISORDER_BYTES;
    this.#ahead = inOrder ? Math.min(Math.max(2 * this.#ahead, end - start), MOST_AHEAD_BYTES) : 0;
    this.#last = end;
    const wanted = { start, end: Math.max(end + this.#ahead, start + LEAST_BYTES) };
    const runs = this.#part.missing(wanted).flatMap((run) => without(run, this.#coming));
    const [first] = runs;
    // What is far ahead can wait until it is worth a request.
    if (first === undefined || first.start >= end + this.#ahead / 2) return;
    for (const run of runs) this.#get(run);
  }

  #get(run: ByteRange): void {
    this.#coming.add(run);
    this.#fetch(run, () => this.#wake()).then(
      () => {
        this.#coming.delete(run);
        this.#wake();
      },
      (error: unknown) => {
        this.#coming.delete(run);
        for (const waiter of this.#waiters) {
          if (!overlap(waiter.range, run) || this.#isThere(waiter.range)) continue;
          this.#waiters.delete(waiter);
          waiter.reject(error);
        }
      },
    );
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (!this.#isThere(waiter.range)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #isThere(range: ByteRange): boolean {
    return this.#part.missing(range).length === 0;
  }

  /** The part, when it is whole: the caller's from now on. */
  release(): PartialObject {
    this.#part.close();
    return this.#part;
  }

  /** The same for a part that the next process may go on with. */
  leave(store: Store): void {
    this.#part.leave(store);
  }
}

const overlap = (a: ByteRange, b: ByteRange) => a.start < b.end && b.start < a.end;

/** What is left of `range` without `others`, in order. */
function without(range: ByteRange, others: Iterable<ByteRange>): ByteRange[] {
  let rest: ByteRange[] = [range];
  for (const other of others) {
    rest = rest.flatMap((piece) => {
      if (!overlap(piece, other)) return [piece];
      return [
        { start: piece.start, end: other.start },
        { start: other.end, end: piece.end },
      ].filter(({ start, end }) => start < end);
    });
  }
  return rest;
}
