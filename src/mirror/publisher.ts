/**
 * Publishing what was fetched, many objects at a time: one sync of the file system costs as much as
 * fetching hundreds of small files. Objects are staged as they come; a reader that waits for one
 * waits for the next publication.
 *
 * @module
 */
import type { Store } from "../store/store.ts";
import { Transaction, type TransactionOptions } from "../store/transaction.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

export interface PublisherOptions extends TransactionOptions {
  /** How long an object may wait for others, in ms. */
  readonly lingerMs: number;
}

/** An interruption loses no more than what was fetched since the last publication. */
const BATCH_BYTES = 64 * 1024 * 1024;
const BATCH_OBJECTS = 1024;

interface Batch {
  readonly transaction: Transaction;
  readonly timer: NodeJS.Timeout;
  readonly published: Promise<void>;
  readonly settle: { resolve(): void; reject(error: unknown): void };
  bytes: number;
  objects: number;
}

/** Collects objects and publishes them together. */
export class Publisher {
  readonly #store: Store;
  readonly #options: PublisherOptions;
  #batch: Batch | undefined;

  constructor(store: Store, options: PublisherOptions) {
    this.#store = store;
    this.#options = options;
  }

  /**
   * An object whose content is at hand and has this digest. Resolves once it is published.
   *
   * @throws {@link SystemError} when the store cannot take it
   */
  put(digest: VerityDigest, content: Uint8Array): Promise<void> {
    return this.#add(content.length, (transaction) => transaction.put(digest, content));
  }

  /**
   * The same for one that lies complete in a file of the store's `tmp/`, which is moved at once.
   */
  adopt(name: string, digest: VerityDigest, size: number): Promise<void> {
    return this.#add(size, (transaction) => transaction.adopt(name, digest, size));
  }

  /** Publishes what is there now. Those who wait hear of errors; this does not throw. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    clearTimeout(batch.timer);
    try {
      batch.transaction.publish();
      batch.settle.resolve();
    } catch (error) {
      batch.settle.reject(error);
    } finally {
      batch.transaction.close();
    }
  }

  // What is staged is staged when this returns: there is no await in it.
  async #add(bytes: number, stage: (transaction: Transaction) => void): Promise<void> {
    const batch = (this.#batch ??= this.#begin());
    stage(batch.transaction);
    batch.bytes += bytes;
    batch.objects += 1;
    if (batch.bytes >= BATCH_BYTES || batch.objects >= BATCH_OBJECTS) this.flush();
    return batch.published;
  }

  #begin(): Batch {
    const transaction = Transaction.begin(this.#store, this.#options);
    let settle!: Batch["settle"];
    const published = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    published.catch(() => undefined); // of those who wait, none may be there any more
    const timer = setTimeout(() => this.flush(), this.#options.lingerMs);
    return { transaction, timer, published, settle, bytes: 0, objects: 0 };
  }
}
