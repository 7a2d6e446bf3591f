/**
 * Reading objects ahead of their readers, in a thread of its own at the lowest priority: their leaf
 * hashes are then known, the page cache holds what was read from the stores, and what no store had
 * has been fetched. The threads that answer requests have nothing to do with it.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { encodeError } from "../../error-transfer.ts";
import { workerUrl } from "../../sys/worker.ts";
import type { ByteRange, ObjectFile } from "../object-reader.ts";
import type { Problem } from "../session.ts";
import type { Supply } from "../supply.ts";
import type {
  PrefetchAnswer,
  PrefetchInput,
  PrefetchMessage,
  PrefetchStatus,
} from "./prefetch-input.ts";

const nothing: PrefetchStatus = {
  state: "running",
  objects: 0,
  bytes: 0,
  doneObjects: 0,
  doneBytes: 0,
  failed: 0,
  absent: 0,
};

/** A prefetch under way. */
export class Prefetch {
  readonly #thread: Worker;
  readonly #ending = new AbortController();
  #status = nothing;

  /** Starts it; `onProblem` hears of objects that cannot be had. */
  constructor(
    input: PrefetchInput,
    { supply, onProblem }: { supply?: Supply | undefined; onProblem: (problem: Problem) => void },
  ) {
    const workerData: PrefetchInput = { ...input, partial: supply?.directory };
    const thread = new Worker(workerUrl(import.meta.url, "./prefetch-worker.ts"), {
      workerData,
      trackUnmanagedFds: false, // it closes what system calls have opened
    });
    thread.on("message", (message: PrefetchMessage) => {
      if ("status" in message) this.#status = message.status;
      else if ("problem" in message) onProblem(message.problem);
      else void this.#provide(message.need, supply);
    });
    thread.on("error", ({ message }) => {
      onProblem({ operation: "PREFETCH", nodeid: 1, message });
    });
    thread.on("exit", () => {
      if (this.#status.state === "running") this.#status = { ...this.#status, state: "stopped" };
    });
    thread.unref(); // the mount keeps the process alive, this does not
    this.#thread = thread;
  }

  status(): PrefetchStatus {
    return this.#status;
  }

  stop(): void {
    this.#ending.abort(new Error("the mount has ended"));
    void this.#thread.terminate();
  }

  async #provide(
    { file, range }: { file: ObjectFile; range: ByteRange | undefined },
    supply: Supply | undefined,
  ): Promise<void> {
    let answer: PrefetchAnswer = {};
    try {
      await supply?.provide(file, range, this.#ending.signal);
    } catch (error) {
      answer = { failed: encodeError(error) };
    }
    this.#thread.postMessage(answer);
  }
}
