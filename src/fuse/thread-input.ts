/**
 * What passes between the main thread of a raw FUSE server and the threads that serve.
 *
 * @module
 */
import type { BackingMemory } from "./backing-files.ts";
import type { ObjectTableMemory } from "./object-table.ts";
import type { HandOver, Problem } from "./session.ts";
import type { SharedLeavesMemory } from "./shared-leaves.ts";

/** What the server threads of a connection share. */
export interface SharedMemory {
  /** Open /dev/fuse, after INIT. */
  readonly fd: number;
  /** Store directories in order. */
  readonly stores: readonly string[];
  /** Descriptors of their directories of objects, opened once for all threads. */
  readonly held: readonly number[];
  readonly leaves: SharedLeavesMemory;
  /** Counts: row 0 is the main thread's, then one for each thread. */
  readonly counters: SharedArrayBuffer;
  /** Where objects are of which a part is there, when what is missing is fetched. */
  readonly partial: string | undefined;
  /** Objects that the kernel reads by itself, when it shall. */
  readonly backing: BackingMemory | undefined;
}

/** What each of them is given besides. */
export interface ThreadInput extends SharedMemory {
  /** Its number, from 1 on. */
  readonly thread: number;
  readonly turns: SharedArrayBuffer;
}

/** What the threads of an image are given. */
export interface ImageInput extends SharedMemory {
  /** The verified image. */
  readonly image: SharedArrayBuffer;
  /** The directory that is the root; by default the image's own. */
  readonly rootNid: number | undefined;
}

/** What the threads of an objects file system are given. */
export interface ObjectTableInput extends SharedMemory {
  /** The only objects that there are. */
  readonly objects: ObjectTableMemory;
}

/** What a thread shall serve. */
export type ThreadWork =
  | { readonly work: "image"; readonly input: ImageInput }
  | { readonly work: "objects"; readonly input: ObjectTableInput };
export type ThreadJob =
  | { readonly work: "image"; readonly input: ImageInput & ThreadInput }
  | { readonly work: "objects"; readonly input: ObjectTableInput & ThreadInput };

/** A request that a thread could not answer from what is there. */
export interface HandedOver {
  readonly request: Uint8Array;
}

/** What a server thread says, and how. */
export type WorkerMessage = "ready" | Problem | HandedOver;
export type Tell = (message: WorkerMessage) => void;

/** How a thread hands requests over; undefined when nothing is fetched. */
export function handingOver(
  { partial }: SharedMemory,
  tell: (message: HandedOver) => void,
): HandOver | undefined {
  if (partial === undefined) return undefined;
  return (request) => tell({ request: Uint8Array.from(request) });
}
