/**
 * Publishing objects that came one by one: together, after a while, because each publication waits
 * for the disk. Until then they are read where they are staged.
 *
 * @module
 */
import type { WholeObject } from "../store/kept-object.ts";
import type { Store } from "../store/store.ts";
import { Transaction } from "../store/transaction.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

const WAIT_MS = 2000;
const MOST_OBJECTS = 1000;

/** Whole objects that are not published yet. */
export class UnpublishedObjects {
  readonly #store: Store;
  readonly #onProblem: (error: Error) => void;
  readonly #waiting = new Map<VerityDigest, WholeObject>();
  readonly #published = new Set<VerityDigest>();
  #timer: NodeJS.Timeout | undefined;

  /** `onProblem` hears why objects were not kept; they stay where they are. */
  constructor(store: Store, onProblem: (error: Error) => void) {
    this.#store = store;
    this.#onProblem = onProblem;
  }

  /** Takes over an object that is whole. */
  add(object: WholeObject): void {
    this.#waiting.set(object.digest, object);
    if (this.#waiting.size >= MOST_OBJECTS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), WAIT_MS).unref();
  }

  /** Whether the object is here and can be read. */
  has(digest: VerityDigest): boolean {
    return this.#waiting.has(digest);
  }

  /** Whether the object was put into the store by us. */
  wasPublished(digest: VerityDigest): boolean {
    return this.#published.has(digest);
  }

  /** Publishes all that wait. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    try {
      this.#publish();
    } catch (error) {
      this.#onProblem(error as Error);
    }
  }

  #publish(): void {
    const transaction = Transaction.begin(this.#store);
    try {
      for (const { digest, name, size } of this.#waiting.values()) {
        transaction.adopt(name, digest, size);
      }
      transaction.publish();
      for (const digest of this.#waiting.keys()) this.#published.add(digest);
    } finally {
      // Tried once: after a failed sync nobody knows what the disk has.
      for (const object of this.#waiting.values()) object.remove();
      this.#waiting.clear();
      transaction.close();
    }
  }
}
