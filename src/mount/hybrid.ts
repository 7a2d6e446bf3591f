/**
 * The hybrid mode: the kernel's EROFS and overlay for names and attributes, our objects file system
 * for content. The kernel answers for the tree at its own speed, and every block of a file is
 * compared with the signed digest when it enters the page cache.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { Image } from "../erofs/image.ts";
import { objectTableOf } from "../fuse/object-collector.ts";
import { serveObjects } from "../fuse/object-device.ts";
import type { ServeInput, Served } from "../fuse/transport.ts";
import { Store } from "../store/store.ts";
import type { VerityDigest } from "../verity/index.ts";
import { type StackOptions, mountStack } from "./kernel/stack.ts";

/** What users may wish of the kernel's stack. */
type StackWishes = Pick<StackOptions, "writable" | "idmap" | "subdir" | "noexec">;

/** These wishes, and nothing else. */
export function stackWishes({ writable, idmap, subdir, noexec = false }: StackWishes): StackWishes {
  return {
    noexec,
    ...(writable === undefined ? {} : { writable }),
    ...(idmap === undefined ? {} : { idmap }),
    ...(subdir === undefined ? {} : { subdir }),
  };
}

/** What is to be served, and with which changes on top. */
export interface HybridInput extends ServeInput, StackWishes {
  /** The image's own digest. */
  readonly digest: VerityDigest;
}

/**
 * Mounts the image and starts to serve its objects.
 *
 * @throws {@link SystemError} what this machine lacks; nothing is mounted then
 */
export async function serveHybrid(input: HybridInput): Promise<Served> {
  const bytes = new Uint8Array(input.image);
  const table = objectTableOf(Image.open(bytes));
  // The server holds on to its options, and the image is not needed for long.
  const { image: _, ...options } = input;
  const { mount, ...served } = await serveObjects(table, options);
  try {
    mountStack(
      { bytes, digest: input.digest },
      {
        source: input.source,
        target: input.target,
        objects: [{ mount }],
        images: input.stores.map((store) => Store.open(store).objects),
        requireVerity: false, // FUSE has no fs-verity: the server checks
        ...stackWishes(input),
      },
    );
  } catch (error) {
    served.ended.catch(() => undefined); // with the mount that is closed here
    throw error;
  } finally {
    closeSync(mount); // the overlay holds one of its own
  }
  return { transport: "dev", ...served };
}
