/**
 * The raw transport: /dev/fuse opened by ourselves, mounted, and served by threads that block on it.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { COMPOSEFS_HAS_ACL } from "../erofs/format.ts";
import { Image } from "../erofs/image.ts";
import { mountFuse, unmountTarget } from "../sys/mount.ts";
import { workerUrl } from "../sys/worker.ts";
import { MAX_READ } from "./call.ts";
import { ImageFileSystem } from "./filesystem.ts";
import { operations } from "./operations.ts";
import { lateAnswers } from "./late-threads.ts";
import { agree, sharedMemory, startThreads } from "./threads.ts";
import type { Served, ServeInput } from "./transport.ts";
import type { WorkerInput } from "./worker.ts";

const DEVICE = "/dev/fuse";

/**
 * Opens /dev/fuse.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel has no FUSE here, `PERMISSION`
 */
export function openDevice(): number {
  try {
    return openSync(DEVICE, "r+");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new SystemError("PERMISSION", `${DEVICE}: ${message}`, {
        cause,
        hint: "run as root, or install libfuse2 and fuse3 and use --transport=libfuse",
      });
    }
    throw new SystemError("NO_FUSE", `${DEVICE}: ${message}`, {
      cause,
      hint: "load the kernel module with: modprobe fuse; in a container, pass --device /dev/fuse",
    });
  }
}

/**
 * Mounts the image and starts to serve it.
 *
 * @throws {@link SystemError} when this machine does not let
 */
export async function serveDevice(input: ServeInput): Promise<Served> {
  const image = Image.open(new Uint8Array(input.image));
  const fd = openDevice();
  try {
    mountFuse({
      fd,
      source: input.source,
      target: input.target,
      type: "fuse.sealfs",
      options: [
        "rootmode=40000",
        `user_id=${process.geteuid?.() ?? 0}`,
        `group_id=${process.getegid?.() ?? 0}`,
        "default_permissions", // the kernel checks modes and ACLs
        ...(input.allowOther ? ["allow_other"] : []),
        `max_read=${MAX_READ}`,
      ],
    });
    agree(fd, (image.header.flags & COMPOSEFS_HAS_ACL) !== 0);
  } catch (error) {
    closeSync(fd); // ends the connection, should there be one
    throw error;
  }
  // From here on the descriptor is the threads': it lives as long as this process.
  const url = workerUrl(import.meta.url, "./worker.ts");
  const shared = sharedMemory(fd, Number(image.superblock.inos), input);
  const workerData: WorkerInput = { ...shared, image: input.image };
  const late = lateAnswers(input, operations, shared, (reader) => ({
    fs: new ImageFileSystem(image, reader),
  }));
  const { ready, ended } = startThreads(url, workerData, { ...input, ...late });
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    unmountTarget(input.target, { force: true, lazy: true });
    throw error;
  }
  return { transport: "dev", ended, counters: shared.counters };
}
