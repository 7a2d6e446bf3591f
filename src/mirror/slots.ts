/**
 * Bounded parallelism: a fixed number at a time, the urgent ones first.
 *
 * @module
 */

/** Places for work. */
export class Slots {
  #free: number;
  readonly #urgent: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` as soon as there is a place; never when `signal` ended before that. */
  async run<T>(
    signal: AbortSignal | undefined,
    isUrgent: boolean,
    work: () => Promise<T>,
  ): Promise<T> {
    await this.#take(isUrgent ? this.#urgent : this.#waiting, signal);
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      this.#give();
    }
  }

  async #take(queue: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        const at = queue.indexOf(enter);
        if (at >= 0) queue.splice(at, 1);
        reject(signal!.reason as Error);
      };
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      signal?.addEventListener("abort", leave, { once: true });
      queue.push(enter);
    });
  }

  #give(): void {
    const next = this.#urgent.shift() ?? this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
