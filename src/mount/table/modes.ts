/**
 * The ways to mount, and what they promise.
 *
 * @module
 */

/** Who serves the tree and the content: the kernel both, the kernel the tree only, or sealfs both. */
export type Mode = "kernel" | "hybrid" | "fuse";

/**
 * What a mount promises about file content. `block`: every 4 KiB that is read matches the digest in
 * the signed image. `open`: each file matched when it was opened. `metadata`: names, modes and all
 * else but the content of files.
 */
export type MountPromise = "block" | "open" | "metadata";
