/**
 * A server thread of the objects file system (see {@link ./object-operations.ts}).
 *
 * @module
 */
import { Counters } from "./counters.ts";
import { backedObjectOperations, inImage, objectOperations } from "./object-operations.ts";
import { ObjectTable } from "./object-table.ts";
import { ObjectReader } from "./object-reader.ts";
import { backingOf } from "./passthrough.ts";
import { serve } from "./serve.ts";
import { type Problem, Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import { type Tell, type ThreadInput, handingOver } from "./thread-input.ts";
import { Turns } from "./turns.ts";
import type { ObjectTableInput } from "./thread-input.ts";

/** Serves; returns when the file system has been unmounted. */
export function serveObjectTable(input: ObjectTableInput & ThreadInput, tell: Tell): void {
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
  serve(input.fd, session, new Turns(input.turns, input.thread - 1));
}
