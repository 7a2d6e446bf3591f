/**
 * The raw transports: /dev/fuse, mounted by ourselves or by fusermount3, and served by threads that
 * block on it.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { COMPOSEFS_HAS_ACL } from "../erofs/format.ts";
import { Image } from "../erofs/image.ts";
import { attachMount } from "../sys/fsmount.ts";
import { mountByHelper } from "../sys/fusermount.ts";
import { type IdMap, mapOwners, openIdNamespace } from "../sys/idmap.ts";
import { type FuseMount, mountFuse, unmountAsUser, unmountTarget } from "../sys/mount-calls.ts";
import { MAX_READ } from "./call.ts";
import { ImageFileSystem } from "./filesystem.ts";
import { openDevice } from "./fuse-device.ts";
import { type InitOptions } from "./init.ts";
import { openLooseMount } from "./loose-mount.ts";
import { operations } from "./operations.ts";
import { backedOperations, backingOf } from "./passthrough.ts";
import { stackDepthOf } from "./stack-depth.ts";
import { yieldFileLeases } from "./yield-file-leases.ts";
import { deferRequests } from "./deferred-requests.ts";
import { startThreads } from "./threads.ts";
import { agree } from "./handshake.ts";
import { sharedMemory } from "./shared-memory.ts";
import type { Served, ServeInput } from "./transport.ts";

/** Who opens /dev/fuse and mounts it. */
export type DeviceTransport = "dev" | "fusermount";

/**
 * Mounts the image and starts to serve it.
 *
 * @throws {@link SystemError} when this machine does not let
 */
export async function serveDevice(
  input: ServeInput,
  transport: DeviceTransport = "dev",
): Promise<Served> {
  const image = Image.open(new Uint8Array(input.image));
  const fd = connect(input, transport, {
    acls: (image.header.flags & COMPOSEFS_HAS_ACL) !== 0,
    passthrough: input.passthrough === true ? stackDepthOf(input.stores) : undefined,
  });
  // From here on the descriptor is the threads': it lives as long as this process.
  const shared = sharedMemory(fd, Number(image.superblock.inos), input);
  const threadInput = { ...shared, image: input.image, rootNid: input.rootNid };
  const table = shared.backing === undefined ? operations : backedOperations;
  const deferred = deferRequests(input, table, shared, (reader, places) => ({
    fs: new ImageFileSystem(image, reader, input.rootNid),
    backing: backingOf(shared, places, input.onProblem),
  }));
  yieldFileLeases(shared);
  const { ready, ended } = startThreads(
    { work: "image", input: threadInput },
    { ...input, ...deferred },
  );
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    removeDead(input.target, transport);
    throw error;
  }
  return { transport, ended, counters: shared.counters, leaves: { leaves: shared.leaves } };
}

/** Mounts, and returns the open /dev/fuse after INIT. */
function connect(input: ServeInput, transport: DeviceTransport, options: InitOptions): number {
  if (input.idmap !== undefined) return connectMapped(input, input.idmap, options);
  const fd = transport === "dev" ? mountByOurselves(input) : mountByHelper(mountOf(input));
  try {
    agree(fd, options);
    return fd;
  } catch (error) {
    closeSync(fd); // ends the connection
    removeDead(input.target, transport);
    throw error;
  }
}

/** Owners can only be mapped after INIT, and only of a mount that is attached nowhere yet. */
function connectMapped(
  { source, target, allowOther, noexec }: ServeInput,
  idmap: IdMap,
  options: InitOptions,
): number {
  const how = { source, subtype: "sealfs", allowOther, noexec, checksModes: true };
  const namespace = openIdNamespace(idmap);
  try {
    const { fd, mount } = openLooseMount(how);
    try {
      agree(fd, { ...options, idmapped: true });
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
function removeDead(target: string, transport: DeviceTransport): void {
  const unmount = transport === "dev" ? unmountTarget : unmountAsUser;
  unmount(target, { force: true, lazy: true });
}

function mountByOurselves(input: ServeInput): number {
  const fd = openDevice();
  const { options, ...mount } = mountOf(input);
  const root = [
    "rootmode=40000",
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

function mountOf({ source, target, allowOther, noexec }: ServeInput): Omit<FuseMount, "fd"> {
  const options = [
    "default_permissions", // the kernel checks modes and ACLs
    ...(allowOther ? ["allow_other"] : []),
    `max_read=${MAX_READ}`,
  ];
  return { source, target, type: "fuse.sealfs", options, noexec };
}
