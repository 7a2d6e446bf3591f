/**
 * The threads of a raw FUSE server: their start and their end.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { decodeError } from "../error-transfer.ts";
import { workerUrl } from "../sys/worker.ts";
import type { Problem } from "./session.ts";
import { threadCount } from "./thread-count.ts";
import type { ThreadMessage, ThreadWork } from "./thread-messages.ts";
import { Turns } from "./turns.ts";

/** How many threads, and the callbacks for what they report. */
export interface ThreadOptions {
  /** By default see {@link threadCount}. */
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

/** A thread that is started before there is work: it loads its code meanwhile. */
export class SpareThread {
  #thread: Worker | undefined = newThread();

  /** The thread, once: then it is the caller's. */
  take(): Worker {
    const thread = this.#thread ?? newThread();
    this.#thread = undefined;
    return thread;
  }

  /** Ends it, unless it has been taken. */
  end(): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
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
  const start = (number: number, thread = newThread()) => {
    const started = listenTo(thread, options);
    thread.postMessage({ ...job, input: { ...job.input, turns, thread: number } });
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

function listenTo(thread: Worker, { onProblem, onHandedOver }: ThreadOptions): Threads {
  let isReady = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const ended = new Promise<void>((resolve, reject) => {
    thread.once("error", reject);
    thread.once("exit", () => resolve());
    thread.on("message", (message: ThreadMessage) => {
      if (message === "ready") isReady();
      else if ("request" in message) onHandedOver?.(message.request);
      else if ("error" in message) reject(decodeError(message.error, "a server thread"));
      else onProblem(message);
    });
  });
  return { ended, ready: Promise.race([ready, ended]) };
}
