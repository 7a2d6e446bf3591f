/**
 * The hybrid mode: the kernel's EROFS and overlay for names and attributes, our objects file system
 * for content. The kernel answers for the tree at its own speed, and every block of a file is
 * compared with the signed digest when it enters the page cache.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { Image } from "../../erofs/image.ts";
import { objectTableOf } from "../../fuse/object-collector.ts";
import { serveObjects } from "../../fuse/objects-server.ts";
import type { ServeInput, Served } from "../../fuse/transport.ts";
import type { VerityDigest } from "../../verity/index.ts";
import type { StackOptions } from "../kernel/stack.ts";
import { StackThread } from "../kernel/stack-thread.ts";
import { type MountRights, rightsOf } from "../../sys/mount-rights.ts";
import { defined } from "../../optional.ts";

/** What users may wish of the kernel's stack. */
type StackWishes = Pick<StackOptions, "writable" | "idmap" | "subdir" | keyof MountRights>;

/** These wishes, and nothing else. */
export function stackWishes({ writable, idmap, subdir, ...rights }: StackWishes): StackWishes {
  return { ...rightsOf(rights), ...defined({ writable, idmap, subdir }) };
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
  const { image, digest, stores, source, target } = input;
  const thread = new StackThread({ image, digest, stores }); // it mounts the image meanwhile
  try {
    const table = objectTableOf(Image.open(new Uint8Array(image)));
    await thread.ready();
    // The server holds on to its options, and the image is not needed for long.
    const { image: _, ...options } = input;
    const { mount, ...served } = await serveObjects(table, options);
    try {
      const requireVerity = false; // FUSE has no fs-verity: the server checks
      const stack = { source, target, requireVerity, ...stackWishes(input) };
      await thread.mount({ objects: mount, ...stack });
    } catch (error) {
      served.ended.catch(() => undefined); // with the mount that is closed here
      throw error;
    } finally {
      closeSync(mount); // the overlay holds one of its own
    }
    return { transport: "dev", ...served };
  } finally {
    thread.end();
  }
}
