/**
 * A server thread of the objects file system (see {@link ./object-operations.ts}).
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { Counters } from "./counters.ts";
import { backedObjectOperations, inImage, objectOperations } from "./object-operations.ts";
import { ObjectTable, type ObjectTableMemory } from "./object-table.ts";
import { ObjectReader } from "./objects.ts";
import { backingOf } from "./passthrough.ts";
import { serve } from "./serve.ts";
import { type Problem, Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import { type SharedMemory, type ThreadInput, type WorkerMessage, handingOver } from "./threads.ts";
import { Turns } from "./turns.ts";

/** What a server thread is given. */
export interface ObjectWorkerInput extends SharedMemory {
  /** The only objects that there are. */
  readonly objects: ObjectTableMemory;
}

const input = workerData as ObjectWorkerInput & ThreadInput;
const counters = new Counters(input.counters, input.thread);
const table = new ObjectTable(input.objects);
const reader = new ObjectReader(
  openPlaces(input.stores, input.partial),
  new SharedLeaves(input.leaves),
  counters,
);
const tell = (message: WorkerMessage) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port has no origin
  parentPort?.postMessage(message);
};
const onProblem = (problem: Problem) => tell(inImage(problem, table));
const backing = backingOf(input, openPlaces(input.stores), onProblem);
const session = new Session(
  backing === undefined ? objectOperations : backedObjectOperations,
  { table, reader, backing },
  onProblem,
  handingOver(input, tell),
  counters,
);
tell("ready");
serve(input.fd, session, new Turns(input.turns, input.thread - 1));
