/**
 * A directory of our own where a mount is attached for a moment, for kernels that do not take mounts
 * which are attached nowhere.
 *
 * @module
 */
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attachMount } from "../../sys/fsmount.ts";
import { unmountTarget } from "../../sys/mount-calls.ts";

/** A place that only this user may enter. */
export interface PrivatePlace {
  readonly path: string;
  /** Takes the mount away again; who holds a descriptor of it keeps it. */
  remove(): void;
}

/**
 * Attaches a mount to such a place.
 *
 * @throws {@link SystemError} what the kernel says; nothing is left behind
 */
export function attachPrivately(mount: number): PrivatePlace {
  const path = mkdtempSync(join(tmpdir(), "sealfs-layer-"));
  try {
    attachMount(mount, path);
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  return {
    path,
    remove: () => {
      unmountTarget(path, { lazy: true });
      rmdirSync(path);
    },
  };
}
