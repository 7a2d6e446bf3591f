/**
 * A bounded cache for values that are quickly computed again.
 *
 * @module
 */

/** Keeps the last `capacity` or so values; the oldest go first. */
export class SmallCache<K, V> {
  readonly #capacity: number;
  readonly #values = new Map<K, V>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The value of `key`, computed when it is not there. */
  get(key: K, compute: () => V): V {
    const held = this.#values.get(key);
    if (held !== undefined) return held;
    const value = compute();
    if (this.#values.size >= this.#capacity) {
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest);
        break;
      }
    }
    this.#values.set(key, value);
    return value;
  }
}
