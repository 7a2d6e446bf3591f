/**
 * Mounting the kernel stack over a file system that this very process serves. The kernel asks it for
 * its root while it makes the overlay; a thread that waits for such an answer when the process is
 * killed can neither get it nor end, and as long as it has /dev/fuse open, the file system does not
 * end either. So a thread does it that has open files of its own, and that descriptor not among them:
 * it goes with the threads that serve, and then the kernel ends the wait.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { decodeError } from "../../error-transfer.ts";
import { workerUrl } from "../../sys/worker.ts";
import type { StackImage, StackJob, StackMessage } from "./stack-messages.ts";

/** A thread that mounts an image, and waits for the objects. */
export class StackThread {
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<Error | undefined>;

  constructor(image: StackImage) {
    const worker = new Worker(workerUrl(import.meta.url, "./stack-worker.ts"), {
      workerData: image,
      trackUnmanagedFds: false, // it closes what system calls have opened
    });
    let failure: Error | undefined;
    this.#ended = new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.once("exit", () => resolve(failure));
    });
    this.#ended.catch(() => undefined); // told to the caller that waits for it
    this.#ready = new Promise((resolve) => {
      worker.on("message", (said: StackMessage) => {
        if (said === "ready") resolve();
        else failure = decodeError(said.error, "the thread that mounts");
      });
    });
    this.#worker = worker;
  }

  /** When its open files are its own: what is opened from then on, it does not have. */
  async ready(): Promise<void> {
    await Promise.race([this.#ready, this.#ended]);
  }

  /**
   * Mounts, and ends the thread.
   *
   * @throws {@link SystemError} or {@link NotFoundError} what this machine or the kernel lacks; nothing is
   *   mounted then
   */
  async mount(job: StackJob): Promise<void> {
    this.#worker.postMessage(job);
    const failure = await this.#ended;
    if (failure !== undefined) throw failure;
  }

  /** Ends it, should it still wait. */
  end(): void {
    void this.#worker.terminate();
  }
}
