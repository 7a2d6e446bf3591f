/**
 * Mounts and serves the objects file system: a stand-in for a store's `objects/` that gives out only
 * objects of one image, every block checked. The mount is attached nowhere, so that only who holds
 * its descriptor gets at it; an overlay takes it as a data-only layer.
 *
 * @module
 */
import { closeSync } from "node:fs";
import type { ObjectTable } from "./object-table.ts";
import { deferRequests } from "./deferred-requests.ts";
import { backedObjectOperations, inImage, objectOperations } from "./object-operations.ts";
import { openLooseMount } from "./loose-mount.ts";
import { backingOf } from "./passthrough.ts";
import { stackDepthOf } from "./stack-depth.ts";
import { yieldFileLeases } from "./yield-file-leases.ts";
import type { LeafPlace } from "./leaf-place.ts";
import type { Problem } from "./session.ts";
import type { ServeInput } from "./transport.ts";
import { type ThreadOptions, startThreads } from "./threads.ts";
import { agree } from "./handshake.ts";
import { sharedMemory } from "./shared-memory.ts";

/** Where the content comes from, and who serves it. */
export type ObjectsInput = ThreadOptions & Pick<ServeInput, "stores" | "supply" | "passthrough">;

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
  options: ObjectsInput,
): Promise<ServedObjects> {
  // The overlay on top is as high as a stack may be.
  const passthrough = options.passthrough === true ? stackDepthOf(options.stores, 1) : undefined;
  const { fd, mount } = openLooseMount({
    source: "sealfs-objects",
    subtype: "sealfs-objects",
    allowOther: true, // overlayfs reads on behalf of its readers
  });
  try {
    agree(fd, { acls: false, passthrough });
  } catch (error) {
    closeSync(mount);
    closeSync(fd); // ends the connection
    throw error;
  }
  // From here on the descriptor is the threads': it lives as long as this process.
  const shared = sharedMemory(fd, table.count, options);
  const threadInput = { ...shared, objects: table.memory };
  const onProblem = (problem: Problem) => options.onProblem(inImage(problem, table));
  const operations = shared.backing === undefined ? objectOperations : backedObjectOperations;
  const deferred = deferRequests(
    { ...options, onProblem },
    operations,
    shared,
    (reader, places) => ({
      table,
      reader,
      backing: backingOf(shared, places, onProblem),
    }),
  );
  yieldFileLeases(shared);
  const { ready, ended } = startThreads(
    { work: "objects", input: threadInput },
    { ...options, ...deferred },
  );
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    closeSync(mount);
    throw error;
  }
  const leaves = { leaves: shared.leaves, objects: table.memory };
  return { mount, ended, counters: shared.counters, leaves };
}
