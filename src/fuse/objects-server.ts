/**
 * The server of an objects file system: a stand-in for a store's `objects/` that gives out only objects
 * of one image, every block checked, by threads (`objects-thread.ts`). The mount is attached nowhere, so
 * that it is reached by its descriptor only; an overlay takes it as a data-only layer.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { shareConnection } from "./connection.ts";
import { deferRequests } from "./deferred-requests.ts";
import { negotiate } from "./init.ts";
import type { LeafPlace } from "./leaf-place.ts";
import { openLooseMount } from "./loose-mount.ts";
import { backedObjectOperations, inImage, objectOperations } from "./object-operations.ts";
import type { ObjectTable } from "./object-table.ts";
import { backingOf } from "./passthrough.ts";
import type { Problem } from "./session.ts";
import { stackDepthOf } from "./stack-depth.ts";
import { type ThreadOptions, startThreads } from "./threads.ts";
import type { ServeInput } from "./transport.ts";
import { yieldFileLeases } from "./yield-file-leases.ts";

/** Where the content comes from, and how it is served. */
export type ServeObjectsOptions = ThreadOptions &
  Pick<ServeInput, "stores" | "supply" | "passthrough">;

/** An objects file system that is being served. */
export interface ServedObjects {
  /** The mount, the caller's to close. */
  readonly mount: number;
  /** Resolves when the last mount of it has gone. */
  readonly ended: Promise<void>;
  /** What is counted. */
  readonly counters: SharedArrayBuffer;
  /** Where its threads look for leaf hashes. */
  readonly leaves: LeafPlace;
}

/**
 * Serves the objects of `table` from the stores, which are searched in order, and from the supply.
 *
 * @throws {@link SystemError} `NO_FUSE`, `NO_KOFFI`, `PERMISSION`, or what the kernel says
 */
export async function serveObjects(
  table: ObjectTable,
  options: ServeObjectsOptions,
): Promise<ServedObjects> {
  // The overlay on top is as high as a stack may be.
  const passthrough = options.passthrough === true ? stackDepthOf(options.stores, 1) : undefined;
  const { fd, mount } = openLooseMount({
    source: "sealfs-objects",
    subtype: "sealfs-objects",
    allowOther: true, // overlayfs reads on behalf of its readers
  });
  try {
    negotiate(fd, { acls: false, passthrough });
  } catch (error) {
    closeSync(mount);
    closeSync(fd); // ends the connection
    throw error;
  }
  // From here on the descriptor is the threads': it lives as long as this process.
  const connection = shareConnection(fd, table.count, options);
  const onProblem = (problem: Problem) => options.onProblem(inImage(problem, table));
  const operations = connection.backing === undefined ? objectOperations : backedObjectOperations;
  const deferred = deferRequests(
    { ...options, onProblem },
    operations,
    connection,
    (reader, places) => ({
      table,
      reader,
      backing: backingOf(connection, places, onProblem),
    }),
  );
  yieldFileLeases(connection);
  const { ready, ended } = startThreads(
    { work: "objects", input: { ...connection, objects: table.memory } },
    { ...options, ...deferred },
  );
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    closeSync(mount);
    throw error;
  }
  const leaves = { leaves: connection.leaves, objects: table.memory };
  return { mount, ended, counters: connection.counters, leaves };
}
