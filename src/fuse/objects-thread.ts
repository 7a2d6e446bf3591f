/**
 * What a server thread of an objects file system does: it serves until that is unmounted.
 *
 * @module
 */
import { Counters } from "./counters.ts";
import { backedObjectOperations, inImage, objectOperations } from "./object-operations.ts";
import { ObjectTable } from "./object-table.ts";
import { ObjectReader } from "./object-reader.ts";
import { backingOf } from "./passthrough.ts";
import { serveRequests } from "./request-loop.ts";
import { type Problem, Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import { type ObjectsInput, type Tell, type ThreadPart, handingOver } from "./thread-messages.ts";
import { Turns } from "./turns.ts";

/** Serves; returns when the file system has been unmounted. */
export function serveObjectsInThread(input: ObjectsInput & ThreadPart, tell: Tell): void {
  const counters = new Counters(input.counters, input.thread);
  const table = new ObjectTable(input.objects);
  const places = openPlaces(input.stores, input.partial, input.held);
  const reader = new ObjectReader(places, new SharedLeaves(input.leaves), counters);
  const onProblem = (problem: Problem) => tell(inImage(problem, table));
  const backing = backingOf(input, openPlaces(input.stores, undefined, input.held), onProblem);
  const session = new Session(
    backing === undefined ? objectOperations : backedObjectOperations,
    { table, reader, backing },
    onProblem,
    handingOver(input, tell),
    counters,
  );
  tell("ready");
  serveRequests(input.fd, session, new Turns(input.turns, input.thread - 1));
}
