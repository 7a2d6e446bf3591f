/**
 * Which files are small enough to be in the image itself, in place of an object in a store.
 *
 * Spec: docs/profiles.md, "Entries and inodes"; docs/image-format.md, "Content in the image".
 *
 * @module
 */

/** Bytes of the largest file that builds put into the image, as mkcomposefs does with directories. */
export const INLINE_BYTES = 64;

/** Bytes of the largest that the format allows, for dump files. */
export const INLINE_BYTES_ALLOWED = 5000;
