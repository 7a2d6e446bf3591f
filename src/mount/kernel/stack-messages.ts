/**
 * What passes between a server and the thread that mounts the kernel's stack.
 *
 * @module
 */
import type { EncodedError } from "../../error-transfer.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { OverlayStackOptions } from "./stack.ts";

/** The image, which is mounted at once. */
export interface StackImage {
  readonly image: SharedArrayBuffer;
  readonly digest: VerityDigest;
  /** Stores that may hold it as an object with fs-verity. */
  readonly stores: readonly string[];
}

/** What goes over it, when it is there; the mount of the objects as a descriptor of the process. */
export type StackJob = Omit<OverlayStackOptions, "objects" | "style"> & {
  readonly objects: number;
};

/** What the thread says: nothing more when it has mounted. */
export type StackMessage = "ready" | { readonly error: EncodedError };
