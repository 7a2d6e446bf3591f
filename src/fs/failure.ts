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

/** The system call by which Node asks for the working directory, when a path is relative to it. */
const WORKING_DIRECTORY = "uv_cwd";
/** The code of a thread that did not start; its message ends with the number's name. */
const NO_THREAD = "ERR_WORKER_INIT_FAILED";

/** The error number's name of a failed system call, `ENOENT`; undefined for other errors. */
export function errnoOf(error: unknown): string | undefined {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException;
  if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
  if (code === NO_THREAD) return /: (E[A-Z0-9]+)$/.exec((error as Error).message)?.[1];
  // Node itself leaves some names out, EDQUOT among them.
  const name = typeof errno === "number" ? errnoName(-errno) : "";
  return name.startsWith("E") ? name : undefined;
}

/** `error` as a `SystemError` whose message starts with `what`; errors of sealfs stay. */
export function failure(what: string, error: unknown): Error {
  if (error instanceof SealfsError) return error;
  const errno = errnoOf(error);
  if (errno === undefined) return error instanceof Error ? error : new Error(String(error));
  if ((error as NodeJS.ErrnoException).syscall === WORKING_DIRECTORY) return noDirectory(error);
  const hint = hints.get(errno);
  const message = (error as Error).message.replace(/^Unknown system error -\d+/, errno);
  return new SystemError(codes.get(errno) ?? "IO", `${what}: ${message}`, {
    cause: error,
    hint,
  });
}

function noDirectory(cause: unknown): SystemError {
  return new SystemError("IO", "working directory: not there any more", {
    cause,
    hint: "relative paths start from it: change to another with cd, or name paths from / on",
  });
}
