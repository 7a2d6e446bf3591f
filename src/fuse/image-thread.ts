/**
 * What a server thread of an image does: it practises, and then serves until the file system is
 * unmounted.
 *
 * @module
 */
import { Image } from "../erofs/image.ts";
import { Counters } from "./counters.ts";
import { ImageFileSystem } from "./image-file-system.ts";
import { ObjectReader } from "./object-reader.ts";
import { backedImageOperations, imageOperations } from "./image-operations.ts";
import { backingOf } from "./passthrough.ts";
import { serveRequests } from "./request-loop.ts";
import { Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import { type ImageInput, type Tell, type ThreadPart, handingOver } from "./thread-messages.ts";
import { Turns } from "./turns.ts";
import { warmUp } from "./warm-up.ts";

/** About as long as the code takes to be compiled; the first request may have to wait for it. */
const WARM_UP_MS = 50;

/** Serves; returns when the file system has been unmounted. */
export function serveImageInThread(input: ImageInput & ThreadPart, tell: Tell): void {
  const counters = new Counters(input.counters, input.thread);
  const places = openPlaces(input.stores, input.partial, input.held);
  const reader = new ObjectReader(places, new SharedLeaves(input.leaves), counters);
  const image = Image.open(new Uint8Array(input.image));
  const fs = new ImageFileSystem(image, reader, input.rootNid);
  const table = input.backing === undefined ? imageOperations : backedImageOperations;
  const context = {
    fs,
    backing: backingOf(input, openPlaces(input.stores, undefined, input.held), tell),
  };
  const session = new Session(table, context, tell, handingOver(input, tell), counters);
  tell("ready"); // the rest of the mount goes on meanwhile
  warmUp(session, WARM_UP_MS);
  counters.clear();
  serveRequests(input.fd, session, new Turns(input.turns, input.thread - 1));
}
