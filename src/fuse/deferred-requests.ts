/**
 * Deferred requests of a raw connection: what its threads hand over is answered from the main thread.
 *
 * @module
 */
import { Counters } from "./counters.ts";
import { DeferredReplies } from "./deferred-replies.ts";
import { type ObjectPlace, ObjectReader } from "./object-reader.ts";
import { sendAnswer } from "./request-loop.ts";
import type { Operations } from "./operation.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import type { ThreadOptions } from "./threads.ts";
import type { Connection } from "./connection.ts";
import type { ServeInput } from "./transport.ts";

/**
 * The option of the threads by which requests come here, when there is a supply. `contextOf` makes
 * what the operations work on.
 */
export function deferRequests<S>(
  { supply, stores, onProblem }: Pick<ServeInput, "supply" | "stores" | "onProblem">,
  operations: Operations<S>,
  { fd, leaves, held, counters: memory }: Connection,
  contextOf: (reader: ObjectReader, places: readonly ObjectPlace[]) => S,
): Pick<ThreadOptions, "onHandedOver"> {
  if (supply === undefined) return {};
  const places = openPlaces(stores, supply.directory, held);
  const counters = new Counters(memory); // the main thread's
  const deferred = new DeferredReplies({
    operations,
    context: contextOf(new ObjectReader(places, new SharedLeaves(leaves), counters), places),
    supply,
    send: ({ call }, length) => void sendAnswer(fd, call, length),
    onProblem,
    counters,
  });
  return { onHandedOver: (request) => void deferred.take(request) };
}
