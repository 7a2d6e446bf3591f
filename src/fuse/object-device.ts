/**
 * Mounts and serves the objects file system: a stand-in for a store's `objects/` that gives out only
 * objects of one image, every block checked. The mount is attached nowhere, so that only who holds
 * its descriptor gets at it; an overlay takes it as a data-only layer.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { MountAttribute, newMount } from "../sys/fsmount.ts";
import { workerUrl } from "../sys/worker.ts";
import { MAX_READ } from "./call.ts";
import { openDevice } from "./device.ts";
import { type ListedObject, ObjectTable } from "./object-table.ts";
import type { ObjectWorkerInput } from "./object-worker.ts";
import { lateAnswers } from "./late-threads.ts";
import { inImage, objectOperations } from "./object-operations.ts";
import type { Problem } from "./session.ts";
import type { ServeInput } from "./transport.ts";
import { type ThreadOptions, agree, sharedMemory, startThreads } from "./threads.ts";

/** Where the content comes from, and who serves it. */
export type ObjectsInput = ThreadOptions & Pick<ServeInput, "stores" | "supply">;

/** An objects file system that is being served. */
export interface ServedObjects {
  /** The mount, the caller's to close. */
  readonly mount: number;
  /** Resolves when the last mount of it has gone. */
  readonly ended: Promise<void>;
  /** What is counted. */
  readonly counters: SharedArrayBuffer;
}

/**
 * Serves `objects` from the stores, which are searched in order, and from the supply.
 *
 * @throws {@link SystemError} `NO_FUSE`, `NO_KOFFI`, `PERMISSION`, or what the kernel says
 */
export async function serveObjects(
  objects: readonly ListedObject[],
  options: ObjectsInput,
): Promise<ServedObjects> {
  const fd = openDevice();
  let mount: number | undefined;
  try {
    mount = mountObjects(fd);
    agree(fd, false);
  } catch (error) {
    if (mount !== undefined) closeSync(mount);
    closeSync(fd); // ends the connection, should there be one
    throw error;
  }
  // From here on the descriptor is the threads': it lives as long as this process.
  const table = ObjectTable.create(objects);
  const shared = sharedMemory(fd, table.count, options);
  const workerData: ObjectWorkerInput = { ...shared, objects: table.memory };
  const url = workerUrl(import.meta.url, "./object-worker.ts");
  const onProblem = (problem: Problem) => options.onProblem(inImage(problem, table));
  const late = lateAnswers({ ...options, onProblem }, objectOperations, shared, (reader) => ({
    table,
    reader,
  }));
  const { ready, ended } = startThreads(url, workerData, { ...options, ...late });
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    closeSync(mount);
    throw error;
  }
  return { mount, ended, counters: shared.counters };
}

function mountObjects(fd: number): number {
  const attributes = MountAttribute.READ_ONLY | MountAttribute.NO_SUID | MountAttribute.NO_DEV;
  return newMount("fuse", attributes, (context) =>
    context
      .setString("source", "sealfs-objects")
      .setString("subtype", "sealfs-objects")
      .setString("fd", String(fd))
      .setString("rootmode", "40000")
      .setString("user_id", String(process.geteuid?.() ?? 0))
      .setString("group_id", String(process.getegid?.() ?? 0))
      .setFlag("allow_other") // overlayfs reads on behalf of its readers
      .setString("max_read", String(MAX_READ))
      .setFlag("ro"),
  );
}
