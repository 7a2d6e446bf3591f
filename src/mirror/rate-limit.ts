/**
 * A source that is asked for no more than a number of bytes a second, so that fetching leaves the
 * line to others.
 *
 * @module
 */
import type { ByteRange, ObjectGroup, ObjectSource, ReadOptions, WantedObject } from "./source.ts";

/** Pauses until the bytes that came are within the limit; all transfers of a source share it. */
class Throttle {
  readonly #rate: number;
  /** When everything that came so far may have come. */
  #due = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  async take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const now = performance.now();
    this.#due = Math.max(this.#due, now) + (bytes / this.#rate) * 1000;
    const ms = this.#due - now;
    if (ms < 1) return;
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        if (signal?.aborted === true) reject(signal.reason as Error);
        else resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end, { once: true });
    });
  }
}

/** The source, giving at most `rate` bytes per second. */
export function limitRate(source: ObjectSource, rate: number): ObjectSource {
  const throttle = new Throttle(rate);
  async function* slowed<T>(
    parts: AsyncIterable<T>,
    sizeOf: (part: T) => number,
    signal: AbortSignal | undefined,
  ): AsyncIterable<T> {
    for await (const part of parts) {
      await throttle.take(sizeOf(part), signal);
      yield part;
    }
  }
  const limited: ObjectSource = {
    name: source.name,
    kind: source.kind,
    cost: (object, range) => source.cost(object, range),
    read: (object: WantedObject, range: ByteRange, options: ReadOptions) =>
      slowed(source.read(object, range, options), (chunk) => chunk.length, options.signal),
  };
  if (source.leaves !== undefined) {
    limited.leaves = async (object, options) => {
      const leaves = await source.leaves!(object, options);
      if (leaves !== undefined) await throttle.take(leaves.length, options.signal);
      return leaves;
    };
  }
  if (source.groups !== undefined) {
    const slow = (group: ObjectGroup): ObjectGroup => ({
      ...group,
      read: (options) => slowed(group.read(options), ({ chunk }) => chunk.length, options.signal),
    });
    limited.groups = (objects) => source.groups!(objects).map(slow);
  }
  if (source.received !== undefined) limited.received = () => source.received!();
  if (source.close !== undefined) limited.close = () => source.close!();
  return limited;
}
