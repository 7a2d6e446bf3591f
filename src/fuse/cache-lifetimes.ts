/**
 * How long the kernel may believe what it was told before it asks again: an image never changes, so
 * for longer than any mount lives. Content stays in the page cache for as long as the kernel likes.
 *
 * @module
 */

const TEN_YEARS = 10 * 365 * 86_400;

/** FUSE's entry timeout: which node a name leads to, and that a name does not exist. */
export const ENTRY_TIMEOUT_SECONDS = TEN_YEARS;
/** FUSE's attribute timeout: mode, owner, size and times of a node. */
export const ATTRIBUTE_TIMEOUT_SECONDS = TEN_YEARS;
