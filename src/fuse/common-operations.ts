/**
 * The FUSE operations that every read-only file system without state answers alike.
 *
 * @module
 */
import { ENOSYS, EROFS } from "./errno.ts";
import { type Handler, NO_REPLY, type Operation, operation } from "./operation.ts";

const unanswered: Handler<unknown> = () => NO_REPLY;
const readOnly: Handler<unknown> = () => -EROFS;
/** Nothing has to be done. */
export const done: Handler<unknown> = () => 0;
/** The kernel does not ask again, and does what is right without. */
export const unsupported: Handler<unknown> = () => -ENOSYS;

export const commonOperations: readonly Operation<unknown>[] = [
  operation("FORGET", "none", unanswered),
  operation("BATCH_FORGET", "none", unanswered),
  // No FLUSH, no OPENDIR: the kernel learns that with the first, and from then on opens and caches
  // directories by itself.
  operation("FLUSH", "none", unsupported),
  operation("OPENDIR", "none", unsupported),
  operation("RELEASEDIR", "none", done),
  // Handlers do not wait, so there is nothing to interrupt.
  operation("INTERRUPT", "none", unsupported),
  operation("DESTROY", "none", done),
  operation("SETATTR", "none", readOnly),
  operation("SYMLINK", "none", readOnly),
  operation("MKNOD", "none", readOnly),
  operation("MKDIR", "none", readOnly),
  operation("UNLINK", "none", readOnly),
  operation("RMDIR", "none", readOnly),
  operation("RENAME", "none", readOnly),
  operation("RENAME2", "none", readOnly),
  operation("LINK", "none", readOnly),
  operation("WRITE", "none", readOnly),
  operation("SETXATTR", "none", readOnly),
  operation("REMOVEXATTR", "none", readOnly),
  operation("CREATE", "none", readOnly),
  operation("FALLOCATE", "none", readOnly),
  operation("TMPFILE", "none", readOnly),
];
