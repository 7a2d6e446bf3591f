/**
 * What this machine can do for a mount, found out by doing it: kernel versions tell too little.
 *
 * @module
 */
import { type FuseFindings, probeFuse } from "./probe-fuse.ts";
import { type KernelFindings, probeKernel } from "./probe-kernel.ts";

/** Everything that was tried. */
export type Findings = KernelFindings & FuseFindings;

/**
 * Tries everything. Leaves nothing behind.
 *
 * @param store where the objects are: a store, or any directory of its file system
 */
export function probe(store: string): Findings {
  return { ...probeKernel(store), ...probeFuse() };
}
