/**
 * What this machine can do for a mount, found out by doing it: kernel versions tell too little.
 *
 * @module
 */
import { loadLibc } from "../../sys/koffi.ts";
import { type Finding, attempt } from "./finding.ts";
import { type FuseFindings, probeFuse } from "./fuse.ts";
import { probeIdmap } from "./idmap.ts";
import { type KernelFindings, probeKernel } from "./kernel.ts";
import { type PassthroughFindings, probePassthrough } from "./passthrough.ts";

/** Everything that was tried. */
export type Findings = KernelFindings & FuseFindings & PassthroughFindings & OtherFindings;

interface OtherFindings {
  /** The package by which system calls are reached that Node does not have. */
  readonly koffi: Finding;
  /** A mount can show owners as other users. */
  readonly idmap: Finding;
}

/**
 * Tries everything. Leaves nothing behind.
 *
 * @param store where the objects are: a store, or any directory of its file system
 */
export function probe(store: string): Findings {
  return {
    koffi: probeKoffi(),
    ...probeKernel(store),
    ...probeFuse(),
    ...probePassthrough(store),
    idmap: attempt(probeIdmap, "NO_IDMAP"),
  };
}

/** Whether koffi is there. */
export function probeKoffi(): Finding {
  return attempt(() => void loadLibc());
}
