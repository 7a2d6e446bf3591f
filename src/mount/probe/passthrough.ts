/**
 * Tries FUSE passthrough to files beside the objects.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { stackDepthFor } from "../../fuse/stack-depth.ts";
import { failure } from "../../fs/failure.ts";
import { type Finding, attempt } from "./finding.ts";

/** What was found about passthrough. */
export interface PassthroughFindings {
  /** A FUSE file system can let the kernel read objects by itself. */
  readonly passthrough: Finding;
  /** The same for one that is a layer of an overlay. */
  readonly passthroughBelow: Finding;
}

/** Tries it; `store` is a store, or any directory of the objects' file system. */
export function probePassthrough(store: string): PassthroughFindings {
  const passthrough = attempt(() => tryDepth(store, 2), "NO_PASSTHROUGH");
  if (!passthrough.ok) return { passthrough, passthroughBelow: passthrough };
  return { passthrough, passthroughBelow: attempt(() => tryDepth(store, 1), "NO_PASSTHROUGH") };
}

function tryDepth(store: string, most: 1 | 2): string | undefined {
  const file = openFile(store);
  try {
    const depth = stackDepthFor([file], most);
    return depth === 2 ? "no overlay can be mounted above" : undefined;
  } finally {
    closeSync(file);
  }
}

/** A file of a store, or one of our own without a name. */
function openFile(store: string): number {
  try {
    return openSync(`${store}/meta.json`, "r");
  } catch {
    // no store: any file of its file system will do
  }
  let problem: unknown;
  for (const folder of [store, tmpdir()]) {
    const path = `${folder}/probe-${randomUUID()}`;
    try {
      const fd = openSync(path, "wx+", 0o600);
      rmSync(path);
      return fd;
    } catch (error) {
      problem = error;
    }
  }
  throw failure("probe", problem);
}
