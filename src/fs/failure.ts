/**
 * System call failures as typed errors: what the person can do about them decides the code.
 *
 * @module
 */
import { SealfsError, SystemError } from "../errors.ts";
import { errnoName } from "../sys/koffi.ts";

const codes = new Map<string, SystemError["code"]>([
  ["ENOSPC", "NO_SPACE"],
  ["EDQUOT", "NO_SPACE"],
  ["EFBIG", "NO_SPACE"],
  ["EROFS", "READ_ONLY"],
  ["EACCES", "PERMISSION"],
  ["EPERM", "PERMISSION"],
  ["EBUSY", "BUSY"],
]);

const hints = new Map<string, string>([
  ["EDQUOT", "the disk quota is used up"],
  ["EFBIG", "a file size limit is set (ulimit -f)"],
  ["EMFILE", "the process has too many open files (ulimit -n)"],
  ["ENFILE", "the system has too many open files"],
]);

/** The error number's name of a failed system call, `ENOENT`; undefined for other errors. */
export function errnoOf(error: unknown): string | undefined {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException;
  if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
  // Node itself leaves some names out, EDQUOT among them.
  const name = typeof errno === "number" ? errnoName(-errno) : "";
  return name.startsWith("E") ? name : undefined;
}

/** `error` as a `SystemError` whose message starts with `what`; errors of sealfs stay. */
export function failure(what: string, error: unknown): Error {
  if (error instanceof SealfsError) return error;
  const errno = errnoOf(error);
  if (errno === undefined) return error instanceof Error ? error : new Error(String(error));
  const hint = hints.get(errno);
  const message = (error as Error).message.replace(/^Unknown system error -\d+/, errno);
  return new SystemError(codes.get(errno) ?? "IO", `${what}: ${message}`, {
    cause: error,
    hint,
  });
}
