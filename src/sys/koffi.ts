/**
 * The C library through koffi, for the few system calls that Node lacks. koffi is optional: it is
 * loaded at the first call that needs it.
 *
 * @module
 */
import { createRequire } from "node:module";
import { constants } from "node:os";
import type * as Koffi from "koffi";
import { NotFoundError, SystemError } from "../errors.ts";

/** Argument of a C function: numbers, and memory (NUL-terminated where it is a string) or NULL. */
export type CValue = number | bigint | Uint8Array | null;

/** The C library of this process. */
export interface Libc {
  /**
   * A C function by its prototype, as in `int fsync(int fd)`. Use `const void *` for paths and other
   * memory, and `intptr_t` for `ssize_t`. The returned function gives the C result, with `errno()`
   * to be asked right after it.
   */
  func<Args extends readonly CValue[]>(prototype: string): (...args: Args) => number;
  /** `errno` of the last call of this thread. */
  errno(): number;
}

let loaded: Libc | undefined;

/**
 * Loads koffi and the C library, once.
 *
 * @throws {@link SystemError} `NO_KOFFI` when the optional package koffi is not installed or has no
 *   build for this platform
 */
export function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  let koffi: typeof Koffi;
  let library: Koffi.LibraryHandle;
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    library = koffi.load(null); // the process itself, which links the C library
  } catch (cause) {
    throw new SystemError("NO_KOFFI", "koffi: the optional package is not available", {
      cause,
      hint: "install it with: npm install koffi",
    });
  }
  loaded = { func: (prototype) => library.func(prototype), errno: () => koffi.errno() };
  return loaded;
}

/**
 * Where the bytes lie in this process's memory, for structures that point to others. The memory must
 * not be V8's own: `Buffer.allocUnsafeSlow` gives such as stays in its place while it is referred to.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(memory().memcpy(bytes, bytes, 0));
}

/** Whether {@link loadLibc} works here. */
export function hasLibc(): boolean {
  try {
    loadLibc();
    return true;
  } catch {
    return false;
  }
}

/** `value`, computed by the first call of the returned function. */
export function lazy<T>(value: () => T): () => T {
  let held: { readonly value: T } | undefined;
  return () => (held ??= { value: value() }).value;
}

const memory = lazy(() => ({
  memcpy: loadLibc().func<[Uint8Array, Uint8Array, number]>(
    "intptr_t memcpy(void *to, const void *from, size_t length)", // returns `to`
  ),
}));

/**
 * Names of Linux error numbers. Those that Node's own messages know are fewer; EUCLEAN, which file
 * systems say of damaged metadata, is in none of its tables.
 */
const errnoNames: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, errno]): [number, string] => [errno, name]),
  [constants.errno.EAGAIN, "EAGAIN"],
  [constants.errno.ENOTSUP, "ENOTSUP"],
  [117, "EUCLEAN"],
]);

/** The name of an error number, such as `ENOENT`. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** The typed error for a failed system call; `what` names the call and what it was about. */
export function errnoError(errno: number, what: string): SystemError | NotFoundError {
  const name = errnoName(errno);
  const message = `${what}: ${name}`;
  switch (name) {
    case "ENOENT":
      return new NotFoundError("NO_FILE", message);
    case "EPERM":
    case "EACCES":
      return new SystemError("PERMISSION", message);
    case "EROFS":
      return new SystemError("READ_ONLY", message);
    case "ENOSPC":
    case "EDQUOT":
      return new SystemError("NO_SPACE", message);
    case "EBUSY":
      return new SystemError("BUSY", message);
    default:
      return new SystemError("IO", message);
  }
}
