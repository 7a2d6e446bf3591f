/**
 * Mounts that fetch what no store has: while it is read, and with `background` all of it.
 *
 * @module
 */
import type { SharedDirectory } from "../../fs/held-directory.ts";
import type { Image } from "../../erofs/image.ts";
import type { Supply } from "../../fuse/supply.ts";
import { missingObjects } from "../../store/missing-objects.ts";
import { openSourcesFor } from "../../fetch/open-sources.ts";
import { fetchAll } from "../../mirror/fetch-all.ts";
import { Fetcher } from "../../mirror/fetcher.ts";
import { LazyObjects } from "../../mirror/lazy-objects.ts";
import type { Stores } from "../../store/stores.ts";
import type { LazyInput } from "./server-input.ts";
import type { BackgroundStatus, LazyStatus } from "../report/lazy-status.ts";

/** Fetches for one mount. */
export class LazyMount implements Supply {
  readonly #stores: Stores;
  readonly #image: Image;
  readonly #fetcher: Fetcher;
  readonly #lazy: LazyObjects;
  readonly directory: SharedDirectory;
  readonly #log: (line: string) => void;
  readonly #patienceMs: number;
  readonly #ending = new AbortController();
  #background: BackgroundStatus | undefined;

  private constructor(
    fetcher: Fetcher,
    lazy: LazyObjects,
    image: Image,
    stores: Stores,
    log: (line: string) => void,
    patienceMs: number,
  ) {
    this.#fetcher = fetcher;
    this.#lazy = lazy;
    this.#image = image;
    this.#stores = stores;
    this.#log = log;
    this.#patienceMs = patienceMs;
    this.directory = lazy.directory.share();
  }

  /**
   * Opens the sources; what comes is kept in the first store.
   *
   * @throws {@link UsageError} for what is not a mirror; {@link SystemError} when the store cannot
   *   be written to
   */
  static async open(
    image: Image,
    stores: Stores,
    input: LazyInput,
    log: (line: string) => void,
  ): Promise<LazyMount> {
    const store = stores.first;
    const { name, digest, seekIndex } = input;
    const sources = await openSourcesFor({ image, digest, name, seekIndex }, stores, input, log);
    const { deadlineMs } = input;
    const fetcher = new Fetcher({ store, sources });
    const lazy = new LazyObjects({
      stores,
      sources,
      health: fetcher.health,
      deadlineMs,
      fetchWhole: (object) => fetcher.fetch(object, { isUrgent: true, patienceMs: deadlineMs }),
      onProblem: log,
    });
    return new LazyMount(fetcher, lazy, image, stores, log, deadlineMs);
  }

  provide(...args: Parameters<Supply["provide"]>): Promise<void> {
    return this.#lazy.provide(...args);
  }

  /** Fetches all that is missing, beside what readers ask for. Never rejects. */
  async fetchAll(): Promise<void> {
    const missing = [...missingObjects(this.#image, this.#stores)].map(([digest, size]) => ({
      digest,
      size,
    }));
    const report = (state: BackgroundStatus["state"], fetched: number, bytes: number) => {
      this.#background = { state, objects: missing.length, fetched, bytes, reason: undefined };
    };
    report("running", 0, 0);
    try {
      const { signal } = this.#ending;
      const result = await fetchAll(this.#fetcher, missing, {
        signal,
        patienceMs: this.#patienceMs,
        onProgress: ({ objects, bytes }) => report("running", objects, bytes),
      });
      const left = missing.length - result.objects;
      report(left === 0 ? "done" : "failed", result.objects, result.bytes);
      if (left > 0)
        this.#failed(`${left} objects: ${result.failed[0]?.error.message ?? "untried"}`);
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#failed((error as Error).message);
    }
  }

  status(): LazyStatus {
    const sources = this.#fetcher.stats();
    return { ...this.#lazy.stats(), sources, background: this.#background };
  }

  /** Ends what is under way and keeps what has come. */
  async close(): Promise<void> {
    this.#ending.abort(new Error("the mount has ended"));
    this.#lazy.close();
    await this.#fetcher.close();
  }

  #failed(reason: string): void {
    this.#log(`fetching everything: ${reason}`);
    this.#background = { ...this.#background!, state: "failed", reason };
  }
}
