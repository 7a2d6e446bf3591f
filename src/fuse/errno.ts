/**
 * The error numbers that the file system answers with (Linux, all architectures alike).
 *
 * @module
 */
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENODEV = 19;
export const EISDIR = 21;
export const EINVAL = 22;
export const EROFS = 30;
export const ERANGE = 34;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const EPROTO = 71;
export const ENODATA = 61;
