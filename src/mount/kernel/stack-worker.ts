/**
 * The thread that mounts the kernel stack (see {@link ./stack-thread.ts}).
 *
 * @module
 */
import { openSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { encodeError } from "../../error-transfer.ts";
import { Store } from "../../store/store.ts";
import { unshareFiles } from "../../sys/own-files.ts";
import { mountImage, mountOverImage } from "./stack.ts";
import type { StackImage, StackJob, StackMessage } from "./stack-messages.ts";

const O_PATH = 0o10000000;

function tell(message: StackMessage): void {
  parentPort?.postMessage(message);
}

/** Does the work, unless something has gone wrong before. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    tell({ error: encodeError(error) });
    return undefined;
  }
}

function mount(erofs: number, { objects, ...options }: StackJob): void {
  // By way of the process's files to a descriptor of our own; nothing is asked for.
  const layer = openSync(`/proc/self/fd/${objects}`, O_PATH);
  mountOverImage(erofs, { ...options, objects: [{ mount: layer }] });
}

let erofs: number | undefined;
parentPort?.once("message", (job: StackJob) => {
  const image = erofs;
  if (image !== undefined) attempt(() => mount(image, job));
});
async function prepare(): Promise<void> {
  // Node starts its pool of threads when the first of all threads needs it, and they have the files of
  // that one: they must be there before.
  await lstat("/");
  try {
    unshareFiles();
  } catch {
    // Forbidden here: then only a kill within the next moments could leave a process that cannot end.
  }
  tell("ready");
  const { image, digest, stores } = workerData as StackImage;
  erofs = attempt(() =>
    mountImage(
      { bytes: new Uint8Array(image), digest },
      stores.map((path) => Store.open(path).objects),
    ),
  );
}

void prepare();
