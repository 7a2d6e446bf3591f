/**
 * The threads of a raw FUSE server, and the memory that they share.
 *
 * @module
 */
import { readFileSync, readSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { BackingFiles, type BackingMemory } from "./backing-files.ts";
import { REQUEST_BYTES } from "./call.ts";
import { counterMemory } from "./counters.ts";
import { type InitOptions, answerInit, refuseInit } from "./init.ts";
import { holdObjects } from "../store/held-objects.ts";
import { Store } from "../store/store.ts";
import type { HandOver, Problem } from "./session.ts";
import { SharedLeaves, type SharedLeavesMemory } from "./shared-leaves.ts";
import type { ObjectWorkerInput } from "./object-worker.ts";
import type { ServeInput } from "./transport.ts";
import { Turns } from "./turns.ts";
import type { WorkerInput } from "./worker.ts";
import { workerUrl } from "../sys/worker.ts";

/** One byte of leaves stands for 128 bytes of content that has been opened. */
const SHARED_LEAVES_BYTES = 128 * 1024 * 1024;
const LEAST_THREADS = 2;
const MOST_THREADS = 4;
/** Files whose leaves are shared, and so need room in a table. */
const MOST_FILES = 1_000_000;

/** What the server threads of a connection share. */
export interface SharedMemory {
  /** Open /dev/fuse, after INIT. */
  readonly fd: number;
  /** Store directories in order. */
  readonly stores: readonly string[];
  /** Descriptors of their directories of objects, opened once for all threads. */
  readonly held: readonly number[];
  readonly leaves: SharedLeavesMemory;
  /** Counts: row 0 is the main thread's, then one for each thread. */
  readonly counters: SharedArrayBuffer;
  /** Where objects are of which a part is there, when what is missing is fetched. */
  readonly partial: string | undefined;
  /** Objects that the kernel reads by itself, when it shall. */
  readonly backing: BackingMemory | undefined;
}

/** What each of them is given besides. */
export interface ThreadInput extends SharedMemory {
  /** Its number, from 1 on. */
  readonly thread: number;
  readonly turns: SharedArrayBuffer;
}

/** A request that a thread could not answer from what is there. */
export interface HandedOver {
  readonly request: Uint8Array;
}

/** What a server thread says, and how. */
export type WorkerMessage = "ready" | Problem | HandedOver;
export type Tell = (message: WorkerMessage) => void;

/** What a thread shall serve. */
export type ThreadWork =
  | { readonly work: "image"; readonly input: WorkerInput }
  | { readonly work: "objects"; readonly input: ObjectWorkerInput };
export type ThreadJob =
  | { readonly work: "image"; readonly input: WorkerInput & ThreadInput }
  | { readonly work: "objects"; readonly input: ObjectWorkerInput & ThreadInput };

/** Memory for the threads that serve `files` files through `fd`. */
export function sharedMemory(
  fd: number,
  files: number,
  input: Pick<ServeInput, "stores" | "supply" | "threads" | "passthrough">,
): SharedMemory {
  const { stores, supply, threads, passthrough } = input;
  const mostFiles = Math.min(files, MOST_FILES);
  return {
    fd,
    stores,
    held: stores.map((store) => holdObjects(Store.open(store).objects)),
    leaves: SharedLeaves.create(mostFiles, SHARED_LEAVES_BYTES).memory,
    counters: counterMemory(1 + threadCount(threads)),
    partial: supply?.place.path,
    backing:
      passthrough === true ? BackingFiles.memory(mostFiles, backingDescriptors()) : undefined,
  };
}

/**
 * Answers the kernel's first request on a new connection.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel's FUSE is too old; `NO_PASSTHROUGH` or
 *   `NO_IDMAP` when it cannot do these
 */
export function agree(fd: number, options: InitOptions): void {
  const request = Buffer.alloc(REQUEST_BYTES);
  for (;;) {
    const length = readSync(fd, request, 0, REQUEST_BYTES, null);
    try {
      const { reply, again } = answerInit(request.subarray(0, length), options);
      writeSync(fd, reply);
      if (!again) return;
    } catch (error) {
      writeSync(fd, refuseInit(request));
      throw error;
    }
  }
}

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
  return new Worker(workerUrl(import.meta.url, "./thread.ts"), {
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

function threadCount(wanted: number | undefined): number {
  return wanted ?? Math.min(MOST_THREADS, Math.max(LEAST_THREADS, availableParallelism()));
}

/** How a thread hands requests over; undefined when nothing is fetched. */
export function handingOver(
  { partial }: SharedMemory,
  tell: (message: HandedOver) => void,
): HandOver | undefined {
  if (partial === undefined) return undefined;
  return (request) => tell({ request: Uint8Array.from(request) });
}

/** Descriptors that are not for objects which the kernel reads by itself. */
const OTHER_DESCRIPTORS = 256;
const LEAST_BACKING = 16;

/** How many of these may be held open: the soft limit of open files, as Linux tells it. */
function backingDescriptors(): number {
  let limit = 1024;
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? limit);
  } catch {
    // the least that a system has
  }
  return Math.max(LEAST_BACKING, limit - OTHER_DESCRIPTORS);
}
