/**
 * A server thread of the raw transport: it gets the connection, the image and the shared memory, and
 * serves until the file system is unmounted.
 *
 * @module
 */
import { Image } from "../erofs/image.ts";
import { Counters } from "./counters.ts";
import { ImageFileSystem } from "./filesystem.ts";
import { ObjectReader } from "./object-reader.ts";
import { operations } from "./operations.ts";
import { backedOperations, backingOf } from "./passthrough.ts";
import { serve } from "./serve.ts";
import { Session } from "./session.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import { openPlaces } from "./store-place.ts";
import { type Tell, type ThreadInput, handingOver } from "./thread-input.ts";
import { Turns } from "./turns.ts";
import { warmUp } from "./warm-up.ts";
import type { ImageInput } from "./thread-input.ts";

/** About as long as the code takes to be compiled; a first request may have to wait so much longer. */
const WARM_UP_MS = 50;

/** Serves; returns when the file system has been unmounted. */
export function serveImage(input: ImageInput & ThreadInput, tell: Tell): void {
  const counters = new Counters(input.counters, input.thread);
  const places = openPlaces(input.stores, input.partial, input.held);
  const reader = new ObjectReader(places, new SharedLeaves(input.leaves), counters);
  const image = Image.open(new Uint8Array(input.image));
  const fs = new ImageFileSystem(image, reader, input.rootNid);
  const table = input.backing === undefined ? operations : backedOperations;
  const server = {
    fs,
    backing: backingOf(input, openPlaces(input.stores, undefined, input.held), tell),
  };
  const session = new Session(table, server, tell, handingOver(input, tell), counters);
  tell("ready"); // the rest of the mount goes on meanwhile
  warmUp(session, WARM_UP_MS);
  counters.clear();
  serve(input.fd, session, new Turns(input.turns, input.thread - 1));
}
