/**
 * Which files are small enough to be in the image itself, in place of an object in a store.
 *
 * Spec: docs/profiles.md, "Entries and inodes"; docs/image-format.md, "Content in the image".
 *
 * @module
 */

/**
 * Bytes of the largest file that builds put into the image, as mkcomposefs does with directories; the
 * format allows more (`limits.inlineBytes`).
 */
export const INLINE_BYTES = 64;
