/**
 * The server of an image over the raw transports: /dev/fuse, mounted by ourselves or by fusermount3,
 * and served by threads that block on it (`image-thread.ts`).
 *
 * @module
 */
import { COMPOSEFS_HAS_ACL } from "../erofs/format.ts";
import { Image } from "../erofs/image.ts";
import { type RawTransport, openAttachedMount, removeDeadMount } from "./attached-mount.ts";
import { shareConnection } from "./connection.ts";
import { deferRequests } from "./deferred-requests.ts";
import { ImageFileSystem } from "./image-file-system.ts";
import { backedImageOperations, imageOperations } from "./image-operations.ts";
import { backingOf } from "./passthrough.ts";
import { stackDepthOf } from "./stack-depth.ts";
import { startThreads } from "./threads.ts";
import type { ServeInput, Served } from "./transport.ts";
import { yieldFileLeases } from "./yield-file-leases.ts";

/**
 * Mounts the image and starts to serve it.
 *
 * @throws {@link SystemError} when this machine does not allow it
 */
export async function serveImage(input: ServeInput, transport: RawTransport): Promise<Served> {
  const image = Image.open(new Uint8Array(input.image));
  const fd = openAttachedMount(input, transport, {
    acls: (image.header.flags & COMPOSEFS_HAS_ACL) !== 0,
    passthrough: input.passthrough === true ? stackDepthOf(input.stores) : undefined,
  });
  // From here on the descriptor is the threads': it lives as long as this process.
  const connection = shareConnection(fd, Number(image.superblock.inos), input);
  const table = connection.backing === undefined ? imageOperations : backedImageOperations;
  const deferred = deferRequests(input, table, connection, (reader, places) => ({
    fs: new ImageFileSystem(image, reader, input.rootNid),
    backing: backingOf(connection, places, input.onProblem),
  }));
  yieldFileLeases(connection);
  const { ready, ended } = startThreads(
    { work: "image", input: { ...connection, image: input.image, rootNid: input.rootNid } },
    { ...input, ...deferred },
  );
  try {
    await ready;
  } catch (error) {
    ended.catch(() => undefined); // the same error
    removeDeadMount(input.target, transport);
    throw error;
  }
  return { transport, ended, counters: connection.counters, leaves: { leaves: connection.leaves } };
}
