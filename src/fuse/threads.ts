/**
 * The threads of a raw FUSE server: how many there are, their start and their end.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { workerUrl } from "../sys/worker.ts";
import type { Problem } from "./session.ts";
import type { ThreadWork, WorkerMessage } from "./thread-input.ts";
import { Turns } from "./turns.ts";

const LEAST_THREADS = 2;
const MOST_THREADS = 4;
/** How many threads, and who hears of requests that failed. */
export interface ThreadOptions {
  /** By default as many as processors, from 2 to 4. */
  readonly threads?: number;
  readonly onProblem: (problem: Problem) => void;
  /** Takes requests over whose content has to be fetched. */
  readonly onHandedOver?: (request: Uint8Array) => void;
  /** One that was started before there was anything to do. */
  readonly spare?: SpareThread;
}

/** The threads of a mount; `ready` when the first of them serves. */
export interface Threads {
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
}

/** A thread that has nothing to do yet: it loads its code meanwhile. */
export class SpareThread {
  #worker: Worker | undefined = newThread();

  /** The thread, once: then it is the caller's. */
  take(): Worker {
    const worker = this.#worker ?? newThread();
    this.#worker = undefined;
    return worker;
  }

  /** Ends it, should nobody have taken it. */
  end(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}

function newThread(): Worker {
  return new Worker(workerUrl(import.meta.url, "./fuse-worker.ts"), {
    trackUnmanagedFds: false, // threads close what others have opened
  });
}

/** Starts threads that do `job`. The mount need not wait for more than the first. */
export function startThreads(job: ThreadWork, options: ThreadOptions): Threads {
  const count = threadCount(options.threads);
  const turns = Turns.memory(count);
  const start = (thread: number, worker = newThread()) => {
    const started = listenTo(worker, options);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage({ ...job, input: { ...job.input, turns, thread } });
    return started;
  };
  const first = start(1, options.spare?.take());
  const others = first.ready.then(() =>
    Array.from({ length: count - 1 }, (_, i) => start(i + 2).ended),
  );
  // The first that dies of an error ends the mount: its request would wait for ever.
  const ended = Promise.all([first.ended, others.then((all) => Promise.all(all))]);
  return { ready: first.ready, ended: ended.then(() => undefined) };
}

function listenTo(worker: Worker, { onProblem, onHandedOver }: ThreadOptions): Threads {
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
  const ready = new Promise<void>((resolve) => {
    worker.on("message", (message: WorkerMessage) => {
      if (message === "ready") resolve();
      else if ("request" in message) onHandedOver?.(message.request);
      else onProblem(message);
    });
  });
  return { ended, ready: Promise.race([ready, ended]) };
}

/** How many threads a server has: as wanted, or by the number of processors. */
export function threadCount(wanted: number | undefined): number {
  return wanted ?? Math.min(MOST_THREADS, Math.max(LEAST_THREADS, availableParallelism()));
}
