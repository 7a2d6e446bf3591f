/**
 * An open connection to the kernel, with the memory and the descriptors that the threads which serve
 * it share.
 *
 * @module
 */
import type { SharedDirectory } from "../fs/held-directory.ts";
import { Store } from "../store/store.ts";
import { type BackingMemory, BackingTable } from "./backing-table.ts";
import { counterMemory } from "./counters.ts";
import { SharedLeaves, type SharedLeavesMemory } from "./shared-leaves.ts";
import type { Supply } from "./supply.ts";
import { threadCount } from "./thread-count.ts";

/** What the threads of a connection share; plain data, so that it can be sent to them. */
export interface Connection {
  /** Open /dev/fuse, after INIT. */
  readonly fd: number;
  /** Store directories in order. */
  readonly stores: readonly string[];
  /** Descriptors of their directories of objects, opened once for all threads. */
  readonly held: readonly number[];
  readonly leaves: SharedLeavesMemory;
  /** Counts: row 0 is the main thread's, then one for each thread. */
  readonly counters: SharedArrayBuffer;
  /** The directory of partial objects, when what is missing is fetched. */
  readonly partial: SharedDirectory | undefined;
  /** Objects that the kernel reads by itself, with passthrough. */
  readonly backing: BackingMemory | undefined;
}

/** Where content comes from, and how it is served. */
export interface ConnectionOptions {
  readonly stores: readonly string[];
  readonly supply?: Supply | undefined;
  readonly threads?: number | undefined;
  readonly passthrough?: boolean | undefined;
}

/** Shares `fd`, through which `files` files are served. */
export function shareConnection(
  fd: number,
  files: number,
  { stores, supply, threads, passthrough }: ConnectionOptions,
): Connection {
  return {
    fd,
    stores,
    held: stores.map((store) => Store.open(store).objects.hold()),
    leaves: SharedLeaves.create(files).memory,
    counters: counterMemory(1 + threadCount(threads)),
    partial: supply?.directory,
    backing: passthrough === true ? BackingTable.memory(files) : undefined,
  };
}
