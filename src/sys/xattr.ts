/**
 * Extended attributes of files, as bytes (man 7 xattr). Symlinks are not followed.
 *
 * @module
 */
import { type ByteString, printable, toByteString, toBytes } from "../bytes/bytestring.ts";
import { errnoError, errnoName, lazy, loadLibc } from "./koffi.ts";

/** The kernel's limit for a list of names and for one value. */
const XATTR_MAX = 65536;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    list: libc.func<[Uint8Array, Uint8Array, number]>(
      "intptr_t llistxattr(const void *path, void *list, size_t size)",
    ),
    get: libc.func<[Uint8Array, Uint8Array, Uint8Array, number]>(
      "intptr_t lgetxattr(const void *path, const void *name, void *value, size_t size)",
    ),
    set: libc.func<[Uint8Array, Uint8Array, Uint8Array, number, number]>(
      "int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)",
    ),
    remove: libc.func<[Uint8Array, Uint8Array]>(
      "int lremovexattr(const void *path, const void *name)",
    ),
    errno: () => libc.errno(),
    buffer: new Uint8Array(XATTR_MAX),
  };
});

/**
 * Names of the extended attributes of `path` that this process may see, in the kernel's order; none
 * where the file system has no attributes.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says; {@link NotFoundError} `NO_FILE`
 */
export function listXattrs(path: ByteString): ByteString[] {
  const { list, errno, buffer } = calls();
  const length = list(cString(path), buffer, XATTR_MAX);
  if (length < 0) {
    const number = errno();
    if (errnoName(number) === "EOPNOTSUPP" || errnoName(number) === "ENOTSUP") return [];
    throw errnoError(number, `listxattr ${printable(path)}`);
  }
  if (length === 0) return [];
  return toByteString(buffer, 0, length - 1).split("\0") as ByteString[];
}

/**
 * The value of one extended attribute; undefined when the file does not have it.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says; {@link NotFoundError} `NO_FILE`
 */
export function getXattr(path: ByteString, name: ByteString): ByteString | undefined {
  const { get, errno, buffer } = calls();
  const length = get(cString(path), cString(name), buffer, XATTR_MAX);
  if (length < 0) {
    const number = errno();
    if (errnoName(number) === "ENODATA") return undefined;
    throw errnoError(number, `getxattr ${printable(path)} ${printable(name)}`);
  }
  return toByteString(buffer, 0, length);
}

/** All extended attributes of `path` that this process may see. */
export function readXattrs(path: ByteString): Map<ByteString, ByteString> {
  const xattrs = new Map<ByteString, ByteString>();
  for (const name of listXattrs(path)) {
    const value = getXattr(path, name);
    if (value !== undefined) xattrs.set(name, value); // undefined: removed meanwhile
  }
  return xattrs;
}

/**
 * Sets one extended attribute.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says
 */
export function setXattr(path: ByteString, name: ByteString, value: ByteString): void {
  const { set, errno } = calls();
  const bytes = toBytes(value);
  if (set(cString(path), cString(name), bytes, bytes.length, 0) !== 0) {
    throw errnoError(errno(), `setxattr ${printable(path)} ${printable(name)}`);
  }
}

/**
 * Removes one extended attribute, should it be there.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says
 */
export function removeXattr(path: ByteString, name: ByteString): void {
  const { remove, errno } = calls();
  if (remove(cString(path), cString(name)) === 0) return;
  const number = errno();
  if (errnoName(number) === "ENODATA") return;
  throw errnoError(number, `removexattr ${printable(path)} ${printable(name)}`);
}

function cString(text: ByteString): Uint8Array {
  return toBytes(`${text}\0` as ByteString);
}
