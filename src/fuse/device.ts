/**
 * The raw transport: /dev/fuse opened by ourselves, mounted, and served by threads that block on it.
 *
 * @module
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { SystemError } from "../errors.ts";
import { COMPOSEFS_HAS_ACL } from "../erofs/format.ts";
import { Image } from "../erofs/image.ts";
import { mountFuse, unmountTarget } from "../sys/mount.ts";
import { workerUrl } from "../sys/worker.ts";
import { MAX_READ, REQUEST_BYTES } from "./call.ts";
import { Handles } from "./handles.ts";
import { answerInit, refuseInit } from "./init.ts";
import { SharedLeaves } from "./shared-leaves.ts";
import type { Served, ServeInput } from "./transport.ts";
import type { WorkerInput, WorkerMessage } from "./worker.ts";

const DEVICE = "/dev/fuse";
/** One byte of leaves stands for 128 bytes of content that has been opened. */
const SHARED_LEAVES_BYTES = 128 * 1024 * 1024;
const LEAST_THREADS = 2;
const MOST_THREADS = 4;
/** Files whose leaves are shared, and so need room in a table. */
const MOST_FILES = 1_000_000;
const LEAST_HANDLES = 16;
/** Descriptors that are not for open files. */
const OTHER_DESCRIPTORS = 256;

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
  const { ready, ended } = startThreads(fd, image, input);
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    unmountTarget(input.target, { force: true, lazy: true });
    throw error;
  }
  return { transport: "dev", ended };
}

function agree(fd: number, acls: boolean): void {
  const request = Buffer.alloc(REQUEST_BYTES);
  for (;;) {
    const length = readSync(fd, request, 0, REQUEST_BYTES, null);
    try {
      const { reply, again } = answerInit(request.subarray(0, length), { acls });
      writeSync(fd, reply);
      if (!again) return;
    } catch (error) {
      writeSync(fd, refuseInit(request));
      throw error;
    }
  }
}

/** The threads of a mount; `ready` when all of them serve. */
interface Threads {
  readonly ready: Promise<unknown>;
  readonly ended: Promise<void>;
}

function startThreads(fd: number, image: Image, input: ServeInput): Threads {
  const files = Math.min(Number(image.superblock.inos), MOST_FILES);
  const mostHandles = Math.max(LEAST_HANDLES, descriptorLimit() - OTHER_DESCRIPTORS);
  const workerData: WorkerInput = {
    fd,
    image: input.image,
    stores: input.stores,
    leaves: SharedLeaves.create(files, SHARED_LEAVES_BYTES).memory,
    handles: new Handles(mostHandles).memory,
    mostHandles,
  };
  const count = Math.min(MOST_THREADS, Math.max(LEAST_THREADS, availableParallelism()));
  const url = workerUrl(import.meta.url, "./worker.ts");
  const threads = Array.from({ length: input.threads ?? count }, () => {
    const worker = new Worker(url, { workerData });
    const ended = new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("exit", () => resolve());
    });
    const ready = new Promise<void>((resolve) => {
      worker.on("message", (message: WorkerMessage) => {
        if (message === "ready") resolve();
        else input.onProblem(message);
      });
    });
    return { ended, ready: Promise.race([ready, ended]) };
  });
  return {
    ready: Promise.all(threads.map(({ ready }) => ready)),
    // The first that dies of an error ends the mount: its request would wait for ever.
    ended: Promise.all(threads.map(({ ended }) => ended)).then(() => undefined),
  };
}

/** The soft limit of open files, as Linux tells it. */
function descriptorLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
  } catch {
    return 1024;
  }
}
