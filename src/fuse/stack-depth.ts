/**
 * How high a file system with passthrough has to count in a stack of file systems.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { closeBacking, openBacking } from "../sys/fuse-backing.ts";
import { type StackDepth, negotiate } from "./init.ts";
import { openLooseMount } from "./loose-mount.ts";

/**
 * How high a file system has to count in a stack so that files beside those open as `files` can be
 * its backing files. Tries it, with connections of its own.
 *
 * @throws {@link SystemError} `NO_PASSTHROUGH` when they cannot, or not with `most`
 */
export function stackDepthFor(files: readonly number[], most: StackDepth = 2): StackDepth {
  try {
    tryBacking(files, 1);
    return 1;
  } catch (error) {
    if (!(error instanceof SystemError) || most === 1) throw error;
    tryBacking(files, 2);
    return 2;
  }
}

/** The same for the objects of stores. */
export function stackDepthOf(stores: readonly string[], most: StackDepth = 2): StackDepth {
  const files = stores.map((store) => openSync(`${store}/meta.json`, "r"));
  try {
    return stackDepthFor(files, most);
  } finally {
    for (const file of files) closeSync(file);
  }
}

function tryBacking(files: readonly number[], passthrough: StackDepth): void {
  const { fd, mount } = openLooseMount({ source: "sealfs-probe", subtype: "sealfs-probe" });
  try {
    negotiate(fd, { acls: false, passthrough });
    for (const file of files) closeBacking(fd, openBacking(fd, file));
  } finally {
    closeSync(mount);
    closeSync(fd);
  }
}
