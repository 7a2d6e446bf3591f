/**
 * The annotations of index entries that say which image an entry is.
 *
 * @module
 */

/** OCI image spec, annotations.md: the name in a layout. */
export const REF_NAME = "org.opencontainers.image.ref.name";
/** What containerd and buildkit write beside it: the whole reference. */
export const IMAGE_NAME = "io.containerd.image.name";
/** Marks buildkit's attestations, which stand among the images of an index. */
export const REFERENCE_TYPE = "vnd.docker.reference.type";
/** Marks podman's second manifest of a platform, whose layers are compressed with zstd. */
export const ZSTD = "io.github.containers.compression.zstd";

export const USED_ANNOTATIONS: readonly string[] = [REF_NAME, IMAGE_NAME, REFERENCE_TYPE, ZSTD];
