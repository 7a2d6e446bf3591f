/**
 * FUSE mounts at a directory: made by ourselves, by fusermount3, or with owners mapped.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { attachMount } from "../sys/fsmount.ts";
import { mountByHelper } from "../sys/fusermount.ts";
import { type IdMap, mapOwners, openIdNamespace } from "../sys/idmap.ts";
import { rightsOf } from "../sys/mount-rights.ts";
import { type FuseMount, mountFuse, unmountAsUser, unmountTarget } from "../sys/mount-calls.ts";
import { MAX_READ } from "./call.ts";
import { openDevFuse } from "./dev-fuse.ts";
import { type InitOptions, negotiate } from "./init.ts";
import { ROOT_MODE, openLooseMount } from "./loose-mount.ts";
import type { ServeInput } from "./transport.ts";

/** What opens /dev/fuse and mounts it. */
export type RawTransport = "dev" | "fusermount";

/**
 * Mounts at the target, and returns the open /dev/fuse after INIT.
 *
 * @throws {@link SystemError} when this machine does not allow it
 */
export function openAttachedMount(
  input: ServeInput,
  transport: RawTransport,
  options: InitOptions,
): number {
  if (input.idmap !== undefined) return mountMapped(input, input.idmap, options);
  const fd = transport === "dev" ? mountByOurselves(input) : mountByHelper(mountOf(input));
  try {
    negotiate(fd, options);
    return fd;
  } catch (error) {
    closeSync(fd); // ends the connection
    removeDeadMount(input.target, transport);
    throw error;
  }
}

/** Owners can only be mapped after INIT, and only of a mount that is attached nowhere yet. */
function mountMapped(input: ServeInput, idmap: IdMap, options: InitOptions): number {
  const { source, target, allowOther } = input;
  const how = { ...rightsOf(input), source, subtype: "sealfs", allowOther, checksModes: true };
  const namespace = openIdNamespace(idmap);
  try {
    const { fd, mount } = openLooseMount(how);
    try {
      negotiate(fd, { ...options, idmapped: true });
      mapOwners(mount, namespace);
      attachMount(mount, target);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    } finally {
      closeSync(mount);
    }
  } finally {
    closeSync(namespace);
  }
}

/** Takes a mount away whose connection has ended. */
export function removeDeadMount(target: string, transport: RawTransport): void {
  const unmount = transport === "dev" ? unmountTarget : unmountAsUser;
  unmount(target, { force: true, lazy: true });
}

function mountByOurselves(input: ServeInput): number {
  const fd = openDevFuse();
  const { options, ...mount } = mountOf(input);
  const root = [
    `rootmode=${ROOT_MODE}`,
    `user_id=${process.geteuid?.() ?? 0}`,
    `group_id=${process.getegid?.() ?? 0}`,
  ];
  try {
    mountFuse({ ...mount, fd, options: [...root, ...options] });
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function mountOf(input: ServeInput): Omit<FuseMount, "fd"> {
  const { source, target, allowOther } = input;
  const options = [
    "default_permissions", // the kernel checks modes and ACLs
    ...(allowOther ? ["allow_other"] : []),
    `max_read=${MAX_READ}`,
  ];
  return { source, target, type: "fuse.sealfs", options, ...rightsOf(input) };
}
