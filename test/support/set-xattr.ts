/**
 * Sets an extended attribute with any bytes in its name and value, for tests of what reads them.
 *
 * @module
 */
import { type ByteString, printable, toBytes } from "../../src/bytes/bytestring.ts";
import { errnoError, loadLibc } from "../../src/sys/koffi.ts";

/** @throws SystemError `NO_KOFFI`, or what the kernel says */
export function setXattr(path: ByteString, name: ByteString, value: ByteString): void {
  const libc = loadLibc();
  const set = libc.func<[Uint8Array, Uint8Array, Uint8Array, number, number]>(
    "int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)",
  );
  const bytes = toBytes(value);
  if (set(terminated(path), terminated(name), bytes, bytes.length, 0) !== 0) {
    throw errnoError(libc.errno(), `setxattr ${printable(path)} ${printable(name)}`);
  }
}

function terminated(text: ByteString): Uint8Array {
  return toBytes(`${text}\0` as ByteString);
}
