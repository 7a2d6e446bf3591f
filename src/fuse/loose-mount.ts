/**
 * FUSE mounts that no path leads to.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { newMount } from "../sys/fsmount.ts";
import { MountAttribute, type MountRights, rightsBits } from "../sys/mount-rights.ts";
import { S_IFDIR } from "../tree/inode.ts";
import { MAX_READ } from "./call.ts";
import { openDevFuse } from "./dev-fuse.ts";

/** The mount option `rootmode`: a directory. */
export const ROOT_MODE = S_IFDIR.toString(8);

/** How such a mount is to be; always read-only. */
export interface LooseMountOptions extends MountRights {
  /** What a list of mounts would show. */
  readonly source: string;
  readonly subtype: string;
  /** Other users may use the mount, as modes and ACLs allow. */
  readonly allowOther?: boolean;
  /** The kernel checks modes and ACLs. */
  readonly checksModes?: boolean;
}

/** An open /dev/fuse in which INIT waits, and its mount; the caller closes both. */
export interface LooseMount {
  readonly fd: number;
  readonly mount: number;
}

/**
 * Mounts a FUSE file system that is attached nowhere.
 *
 * @throws {@link SystemError} `NO_FUSE`, `NO_KOFFI`, `PERMISSION`, or what the kernel says
 */
export function openLooseMount(options: LooseMountOptions): LooseMount {
  const fd = openDevFuse();
  try {
    return { fd, mount: mountLoose(fd, options) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function mountLoose(fd: number, options: LooseMountOptions): number {
  const attributes = MountAttribute.READ_ONLY | rightsBits(options);
  return newMount("fuse", attributes, (context) => {
    context
      .setString("source", options.source)
      .setString("subtype", options.subtype)
      .setString("fd", String(fd))
      .setString("rootmode", ROOT_MODE)
      .setString("user_id", String(process.geteuid?.() ?? 0))
      .setString("group_id", String(process.getegid?.() ?? 0))
      .setString("max_read", String(MAX_READ))
      .setFlag("ro");
    if (options.allowOther === true) context.setFlag("allow_other");
    if (options.checksModes === true) context.setFlag("default_permissions");
  });
}
