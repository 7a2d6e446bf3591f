/**
 * Tries FUSE passthrough to files beside the objects.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { stackDepthFor } from "../../fuse/stack-depth.ts";
import { failure } from "../../fs/failure.ts";
import { HeldDirectory } from "../../fs/held-directory.ts";
import { META_FILE } from "../../store/layout.ts";
import { type Finding, attempt } from "./finding.ts";

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = constants;

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
    return openIn(store, (directory) => directory.open(META_FILE, O_RDONLY));
  } catch {
    // no store: any file of its file system will do
  }
  let problem: unknown;
  for (const path of [store, tmpdir()]) {
    try {
      return openIn(path, openUnnamed);
    } catch (error) {
      problem = error;
    }
  }
  throw failure("probe", problem);
}

function openIn(path: string, open: (directory: HeldDirectory) => number): number {
  const directory = HeldDirectory.open(path);
  try {
    return open(directory);
  } finally {
    directory.close();
  }
}

function openUnnamed(directory: HeldDirectory): number {
  const name = `probe-${randomUUID()}`;
  const fd = directory.open(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
  directory.unlink(name);
  return fd;
}
