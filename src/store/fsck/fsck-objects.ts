/**
 * Checking every object of a store against its name, with one thread per processor.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { decodeError } from "../../error-transfer.ts";
import { SystemError } from "../../errors.ts";
import { workerUrl } from "../../sys/worker.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { type Batch, type BatchResult, checkBatch } from "./fsck-object.ts";
import type { FoundProblem } from "./problem.ts";
import type { BatchAnswer, ObjectsPlace } from "./fsck-worker.ts";
import { type ObjectName, listObjectNames } from "../object-names.ts";
import type { Store } from "../store.ts";

export interface ObjectsResult {
  readonly objects: number;
  /** Bytes read. */
  readonly bytes: number;
  readonly problems: readonly FoundProblem[];
}

export interface ObjectsOptions {
  /** Threads; 0 checks in the calling thread. By default one per processor, 16 at most. */
  readonly threads?: number | undefined;
  /** Called with the bytes read so far, and an estimate of all of them. */
  readonly onProgress?: ((bytes: number, estimate: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const MOST_THREADS = 16;
/** A batch ends at this number of objects or bytes. */
const BATCH_OBJECTS = 256;
const BATCH_BYTES = 64 * 1024 * 1024;

/**
 * Checks all objects. Memory does not grow with their number.
 *
 * @throws {@link SystemError} when objects cannot be read for reasons that are not the disk's
 */
export async function checkStoredObjects(
  store: Store,
  options: ObjectsOptions = {},
): Promise<ObjectsResult> {
  const tally = new Tally(options.onProgress);
  const batches = batchesOf(store, tally);
  const threads = options.threads ?? Math.min(MOST_THREADS, availableParallelism());
  if (threads === 0) {
    for (const batch of batches) {
      await setImmediate(undefined, { signal: options.signal });
      tally.add(checkBatch(store.objects, batch));
    }
    return tally.result();
  }
  const pool = Array.from({ length: threads }, () => new Thread(store));
  const stop = () => pool.forEach((thread) => thread.stop(options.signal!.reason as Error));
  options.signal?.addEventListener("abort", stop);
  try {
    options.signal?.throwIfAborted();
    await Promise.all(pool.map((thread) => thread.drain(batches, tally)));
  } finally {
    options.signal?.removeEventListener("abort", stop);
    await Promise.all(pool.map((thread) => thread.end()));
  }
  return tally.result();
}

/** Adds up what the threads found. */
class Tally {
  readonly #onProgress: ObjectsOptions["onProgress"];
  readonly #problems: FoundProblem[] = [];
  #objects = 0;
  #bytes = 0;
  /** The part of the names that has been listed, 0 to 1; digests are spread evenly. */
  share = 0;

  constructor(onProgress: ObjectsOptions["onProgress"]) {
    this.#onProgress = onProgress;
  }

  add({ objects, bytes, problems }: BatchResult): void {
    this.#objects += objects;
    this.#bytes += bytes;
    this.#problems.push(...problems);
    this.#onProgress?.(this.#bytes, this.share > 0 ? this.#bytes / this.share : this.#bytes);
  }

  addProblem(problem: FoundProblem): void {
    this.#problems.push(problem);
  }

  result(): ObjectsResult {
    const problems = this.#problems.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { objects: this.#objects, bytes: this.#bytes, problems };
  }
}

function* batchesOf(store: Store, tally: Tally): Generator<Batch, void, undefined> {
  let digests: VerityDigest[] = [];
  let bytes = 0;
  for (const object of listObjectNames(store, { skipWrong: true })) {
    const { digest, name } = object;
    if (digest === undefined) {
      tally.addProblem(oddName(object));
      continue;
    }
    tally.share = (Number.parseInt(digest.slice(0, 2), 16) + 1) / 256;
    digests.push(digest);
    bytes += store.files.stat(name)?.size ?? 0;
    if (digests.length < BATCH_OBJECTS && bytes < BATCH_BYTES) continue;
    yield { digests };
    digests = [];
    bytes = 0;
  }
  if (digests.length > 0) yield { digests };
}

function oddName({ name }: ObjectName): FoundProblem {
  const message = "the name is not a digest of this store's algorithm";
  return { kind: "name", name, message, bad: true };
}

/** One thread, with at most one batch at a time. */
class Thread {
  readonly #worker: Worker;
  #done: ((result: BatchResult) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #ended: Error | undefined;

  constructor(store: Store) {
    this.#worker = new Worker(workerUrl(import.meta.url, "./fsck-worker.ts"), {
      workerData: {
        directory: store.files.share(),
        name: store.objects.name,
      } satisfies ObjectsPlace,
      trackUnmanagedFds: false, // it closes what system calls have opened
    });
    this.#worker.on("error", (error) => this.stop(error));
    this.#worker.on("exit", () => this.stop(new SystemError("IO", "fsck: a thread has ended")));
    this.#worker.on("message", (answer: BatchAnswer) => {
      if ("error" in answer) this.stop(decodeError(answer.error, "fsck: a thread"));
      else this.#done?.(answer.result);
    });
  }

  /** Checks one batch after the other to the last. */
  async drain(batches: Generator<Batch>, tally: Tally): Promise<void> {
    for (let next = batches.next(); next.done !== true; next = batches.next()) {
      tally.add(await this.#ask(next.value));
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(batch: Batch): Promise<BatchResult> {
    return new Promise((done, fail) => {
      this.#done = done;
      this.#fail = fail;
      if (this.#ended !== undefined) fail(this.#ended);
      else this.#worker.postMessage(batch);
    });
  }

  /** Lets it give no further answer. */
  stop(error: Error): void {
    this.#ended ??= error;
    this.#fail?.(this.#ended);
  }
}
