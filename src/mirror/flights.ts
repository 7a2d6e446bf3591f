/**
 * Single flight: a request for what is already on its way waits for that. The work goes on as long
 * as anybody waits for it.
 *
 * @module
 */

interface Flight {
  readonly done: Promise<void>;
  readonly controller: AbortController;
  waiting: number;
}

/** Work under way, by key. */
export class Flights<K> {
  readonly #flights = new Map<K, Flight>();

  has(key: K): boolean {
    return this.#flights.has(key);
  }

  /**
   * Joins the work for `key`, or starts it. When `signal` ends, this caller has its reason at once;
   * the work is told to stop when nobody is left.
   */
  async run(
    key: K,
    signal: AbortSignal | undefined,
    start: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    signal?.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, start);
    flight.waiting += 1;
    let leave: (() => void) | undefined;
    try {
      if (signal === undefined) return await flight.done;
      const aborted = new Promise<never>((_, reject) => {
        leave = () => reject(signal.reason as Error);
        signal.addEventListener("abort", leave, { once: true });
      });
      await Promise.race([flight.done, aborted]);
    } finally {
      if (leave !== undefined) signal?.removeEventListener("abort", leave);
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#end(key, flight, signal);
    }
  }

  #start(key: K, start: (signal: AbortSignal) => Promise<void>): Flight {
    const controller = new AbortController();
    const done = start(controller.signal);
    done.catch(() => undefined);
    const flight = { done, controller, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  /** Nobody waits: it is either over, or not wanted any more. A newcomer starts afresh. */
  #end(key: K, flight: Flight, signal: AbortSignal | undefined): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.controller.abort(signal?.reason ?? new Error("nobody waits for it"));
  }
}
