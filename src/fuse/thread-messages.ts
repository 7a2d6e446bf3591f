/**
 * What passes between the main thread of a raw FUSE server and the threads that serve.
 *
 * @module
 */
import type { EncodedError } from "../error-transfer.ts";
import type { Connection } from "./connection.ts";
import type { ObjectTableMemory } from "./object-table.ts";
import type { HandOver, Problem } from "./session.ts";

/** An image to be served. */
export interface ImageInput extends Connection {
  /** The verified image. */
  readonly image: SharedArrayBuffer;
  /** The directory that is the root; by default the image's own. */
  readonly rootNid: number | undefined;
}

/** An objects file system to be served. */
export interface ObjectsInput extends Connection {
  /** The only objects of the file system. */
  readonly objects: ObjectTableMemory;
}

/** What one of several threads is told besides. */
export interface ThreadPart {
  /** Its number, from 1 on. */
  readonly thread: number;
  readonly turns: SharedArrayBuffer;
}

/** What is to be served, and by which thread of several. */
export type ThreadWork =
  | { readonly work: "image"; readonly input: ImageInput }
  | { readonly work: "objects"; readonly input: ObjectsInput };
export type ThreadJob =
  | { readonly work: "image"; readonly input: ImageInput & ThreadPart }
  | { readonly work: "objects"; readonly input: ObjectsInput & ThreadPart };

/** A request that a thread could not answer, because its content has to be fetched. */
export interface HandedOver {
  readonly request: Uint8Array;
}

/** What a server thread reports: that it serves, a problem, a request that it hands over, or why it ends. */
export type ThreadMessage = "ready" | Problem | HandedOver | { readonly error: EncodedError };
export type Tell = (message: ThreadMessage) => void;

/** How a thread hands requests over; undefined when nothing is fetched. */
export function handingOver(
  { partial }: Pick<Connection, "partial">,
  tell: (message: HandedOver) => void,
): HandOver | undefined {
  if (partial === undefined) return undefined;
  return (request) => tell({ request: Uint8Array.from(request) });
}
