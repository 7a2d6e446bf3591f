/**
 * The memory that the threads of a raw FUSE server share, and what they hold open together.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { holdObjects } from "../store/held-objects.ts";
import { Store } from "../store/store.ts";
import { BackingFiles } from "./backing-files.ts";
import { counterMemory } from "./counters.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import type { SharedMemory } from "./thread-input.ts";
import { threadCount } from "./threads.ts";
import type { ServeInput } from "./transport.ts";

/** One byte of leaves stands for 128 bytes of content that has been opened. */
const SHARED_LEAVES_BYTES = 128 * 1024 * 1024;
/** Files whose leaves are shared, and so need room in a table. */
const MOST_FILES = 1_000_000;

/** Memory for the threads that serve `files` files through `fd`. */
export function sharedMemory(
  fd: number,
  files: number,
  input: Pick<ServeInput, "stores" | "supply" | "threads" | "passthrough">,
): SharedMemory {
  const { stores, supply, threads, passthrough } = input;
  const mostFiles = Math.min(files, MOST_FILES);
  return {
    fd,
    stores,
    held: stores.map((store) => holdObjects(Store.open(store).objects)),
    leaves: SharedLeaves.create(mostFiles, SHARED_LEAVES_BYTES).memory,
    counters: counterMemory(1 + threadCount(threads)),
    partial: supply?.place.path,
    backing:
      passthrough === true ? BackingFiles.memory(mostFiles, backingDescriptors()) : undefined,
  };
}

/** Descriptors that are not for objects which the kernel reads by itself. */
const OTHER_DESCRIPTORS = 256;
const LEAST_BACKING = 16;

/** How many of these may be held open: the soft limit of open files, as Linux tells it. */
function backingDescriptors(): number {
  let limit = 1024;
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? limit);
  } catch {
    // the least that a system has
  }
  return Math.max(LEAST_BACKING, limit - OTHER_DESCRIPTORS);
}
