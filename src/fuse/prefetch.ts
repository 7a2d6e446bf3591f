/**
 * Reading objects ahead of their readers, in a thread of its own at the lowest priority: their leaf
 * hashes are then known, the page cache has what was read of the stores, and what no store had has
 * come. The threads that answer requests have nothing to do with it.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import type { ByteString } from "../bytes/bytestring.ts";
import { workerUrl } from "../sys/worker.ts";
import type { ObjectTableMemory } from "./object-table.ts";
import type { ByteRange, ObjectFile } from "./objects.ts";
import type { Problem } from "./session.ts";
import type { SharedLeavesMemory } from "./shared-leaves.ts";
import type { Supply } from "./supply.ts";

/** How far it is. */
export interface PrefetchStatus {
  readonly state: "running" | "done" | "stopped";
  /** Objects to be read, and their bytes; how many of them have been, and in vain. */
  readonly objects: number;
  readonly bytes: number;
  readonly doneObjects: number;
  readonly doneBytes: number;
  readonly failed: number;
  /** Paths of the list that the image does not have. */
  readonly absent: number;
}

/** Where a mount's threads look for leaf hashes: by nids, or by the nodes of an object table. */
export interface LeafPlace {
  readonly leaves: SharedLeavesMemory;
  readonly objects?: ObjectTableMemory;
}

/** What is to be read. */
export interface PrefetchInput {
  readonly image: SharedArrayBuffer;
  readonly stores: readonly string[];
  /** Paths; by default everything. */
  readonly list?: readonly ByteString[] | undefined;
  /** Whom the leaf hashes help. */
  readonly leaves?: LeafPlace | undefined;
  /** Where objects are of which a part is there. */
  readonly partial?: string | undefined;
}

/** What the thread says; `need` asks for what no store has. */
export type PrefetchMessage =
  | { readonly status: PrefetchStatus }
  | { readonly problem: Problem }
  | { readonly need: { readonly file: ObjectFile; readonly range: ByteRange | undefined } };

/** The answer to `need`: why it did not come, if it did not. */
export interface PrefetchAnswer {
  readonly failed?: string;
}

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
  readonly #worker: Worker;
  readonly #ending = new AbortController();
  #status = nothing;

  /** Starts it; `onProblem` hears of objects that cannot be had. */
  constructor(
    input: PrefetchInput,
    { supply, onProblem }: { supply?: Supply | undefined; onProblem: (problem: Problem) => void },
  ) {
    const workerData: PrefetchInput = { ...input, partial: supply?.place.path };
    const worker = new Worker(workerUrl(import.meta.url, "./prefetch-worker.ts"), {
      workerData,
      trackUnmanagedFds: false, // it closes what system calls have opened
    });
    worker.on("message", (message: PrefetchMessage) => {
      if ("status" in message) this.#status = message.status;
      else if ("problem" in message) onProblem(message.problem);
      else void this.#provide(message.need, supply);
    });
    worker.on("error", ({ message }) => {
      onProblem({ operation: "PREFETCH", nodeid: 1, message });
    });
    worker.on("exit", () => {
      if (this.#status.state === "running") this.#status = { ...this.#status, state: "stopped" };
    });
    worker.unref(); // the mount keeps the process, this does not
    this.#worker = worker;
  }

  status(): PrefetchStatus {
    return this.#status;
  }

  stop(): void {
    this.#ending.abort(new Error("the mount has ended"));
    void this.#worker.terminate();
  }

  async #provide(
    { file, range }: { file: ObjectFile; range: ByteRange | undefined },
    supply: Supply | undefined,
  ): Promise<void> {
    let answer: PrefetchAnswer = {};
    try {
      await supply?.provide(file, range, this.#ending.signal);
    } catch (error) {
      answer = { failed: (error as Error).message };
    }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(answer);
  }
}
