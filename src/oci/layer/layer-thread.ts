/**
 * Threads that read layers, seen from outside. Starting one takes as long as inflating some
 * megabytes, so a thread that is done waits a while for another layer.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { decodeError } from "../../error-transfer.ts";
import { SystemError } from "../../errors.ts";
import type { WrittenPoints } from "../../seek/point-writer.ts";
import { workerUrl } from "../../sys/worker.ts";
import type { LayerTask, StreamReport } from "./layer-stream.ts";
import type { LayerAnswer, LayerEnding, LayerJob } from "./layer-worker.ts";
import { RingReader, createRing, resetRing } from "./slab-ring.ts";

const IDLE_MS = 1000;

/** How the reading of a layer has ended. */
interface End {
  readonly points?: WrittenPoints | undefined;
  /** What killed the thread. */
  readonly crash?: unknown;
}

/** A thread and its ring; it neither keeps the process alive nor stays long while it is idle. */
class Thread {
  static readonly #idle: Thread[] = [];
  readonly ring = createRing();
  readonly #worker: Worker;
  #timer: NodeJS.Timeout | undefined;
  #done: ((end: End) => void) | undefined;

  private constructor() {
    this.#worker = new Worker(workerUrl(import.meta.url, "./layer-worker.ts"), {
      execArgv: [], // whatever loaders this process was started with are for this process
    });
    this.#worker.on("message", (answer: LayerAnswer) => this.#release(answer));
    this.#worker.on("error", (error) => this.#die(error));
    this.#worker.on("exit", () => this.#die(new Error("the thread has ended")));
  }

  static take(): Thread {
    const thread = Thread.#idle.pop();
    if (thread === undefined) return new Thread();
    clearTimeout(thread.#timer);
    resetRing(thread.ring);
    return thread;
  }

  /** Settles when the thread has let go of the task's file. */
  run(task: LayerTask): Promise<End> {
    this.#worker.ref();
    const job: LayerJob = { task, ring: this.ring };
    this.#worker.postMessage(job, []);
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  #release(answer: LayerAnswer): void {
    this.#worker.unref();
    if (answer.spent) void this.#worker.terminate();
    else this.#wait();
    this.#done?.({ points: answer.points });
    this.#done = undefined;
  }

  #wait(): void {
    Thread.#idle.push(this);
    this.#timer = setTimeout(() => {
      this.#forget();
      void this.#worker.terminate();
    }, IDLE_MS).unref();
  }

  #forget(): void {
    const at = Thread.#idle.indexOf(this);
    if (at >= 0) Thread.#idle.splice(at, 1);
  }

  #die(error: unknown): void {
    this.#forget();
    this.#done?.({ crash: error });
    this.#done = undefined;
  }
}

/** The reading of one layer by a thread. */
export class LayerThread {
  readonly #reader: RingReader;
  readonly #done: Promise<void>;
  #end: End | undefined;

  private constructor(thread: Thread, task: LayerTask) {
    this.#reader = new RingReader(thread.ring);
    this.#done = thread.run(task).then((end) => {
      this.#end = end;
      if (end.crash !== undefined) this.#reader.cancel(); // it has died without an ending
    });
  }

  static start(task: LayerTask): LayerThread {
    return new LayerThread(Thread.take(), task);
  }

  /** The next chunk, valid until the next call; undefined when there are no more. */
  next(): Promise<Uint8Array | undefined> {
    return this.#reader.next();
  }

  /** Bytes of the blob read so far. */
  get progress(): number {
    return this.#reader.progress;
  }

  /** What the thread ended with; throws what it ended by. */
  report(): StreamReport {
    const text = this.#reader.ending;
    if (text === "") {
      const options = { cause: this.#end?.crash };
      throw new SystemError("IO", "the thread that reads a layer has died", options);
    }
    const ending = JSON.parse(text) as LayerEnding;
    if ("error" in ending) throw decodeError(ending.error, "the thread that reads a layer");
    return ending.report;
  }

  /** The access points, when they were asked for; known once it is closed. */
  get points(): WrittenPoints | undefined {
    return this.#end?.points;
  }

  /** Makes the thread stop when it has not ended, and waits until it has. */
  async close(): Promise<void> {
    this.#reader.cancel();
    await this.#done;
  }
}
