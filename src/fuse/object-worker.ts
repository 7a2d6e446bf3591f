/**
 * A server thread of the objects file system (see {@link ./object-operations.ts}).
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { objectOperations } from "./object-operations.ts";
import { ObjectTable, type ObjectTableMemory } from "./object-table.ts";
import { ObjectReader } from "./objects.ts";
import { serve } from "./serve.ts";
import { Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import type { SharedMemory, WorkerMessage } from "./threads.ts";

/** What a server thread is given. */
export interface ObjectWorkerInput extends SharedMemory {
  /** The only objects that there are. */
  readonly objects: ObjectTableMemory;
}

const input = workerData as ObjectWorkerInput;
const table = new ObjectTable(input.objects);
const reader = new ObjectReader(openPlaces(input.stores), new SharedLeaves(input.leaves));
const tell = (message: WorkerMessage) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port has no origin
  parentPort?.postMessage(message);
};
const session = new Session(objectOperations, { table, reader }, (problem) =>
  // The log tells paths of the image.
  tell({ ...problem, nodeid: table.at(problem.nodeid)?.nid ?? problem.nodeid }),
);
tell("ready");
serve(input.fd, session);
