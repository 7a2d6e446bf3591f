/**
 * Memory as a file that nobody can change: memfd_create(2) with seals, or an unlinked temporary file
 * where koffi is missing.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { errnoError, hasLibc, lazy, loadLibc } from "./koffi.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const SEALS = 0x1 | 0x2 | 0x4 | 0x8; // SEAL, SHRINK, GROW, WRITE

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    memfdCreate: libc.func<[Uint8Array, number]>(
      "int memfd_create(const void *name, unsigned int flags)",
    ),
    fcntl: libc.func<[number, number, number]>("int fcntl(int fd, int op, int arg)"),
    errno: () => libc.errno(),
  };
});

/**
 * An open file with these bytes and no name; the caller closes it. `sealed` tells whether the bytes
 * are proof against everybody who gets the descriptor.
 *
 * @throws {@link SystemError} when there is no room for it
 */
export function anonymousFile(bytes: Uint8Array): { fd: number; sealed: boolean } {
  const fd = emptyAnonymousFile();
  try {
    return { fd, sealed: fillAnonymousFile(fd, bytes) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The same, still empty: for {@link fillAnonymousFile}. */
export function emptyAnonymousFile(): number {
  return hasLibc() ? memoryFile() : unlinkedFile();
}

/** Writes the bytes, and seals them where that is possible: then it returns true. */
export function fillAnonymousFile(fd: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  if (!hasLibc()) return false;
  if (calls().fcntl(fd, F_ADD_SEALS, SEALS) === 0) return true;
  throw errnoError(calls().errno(), "seals of a memory file");
}

function memoryFile(): number {
  const name = Buffer.from("sealfs-image\0");
  const fd = calls().memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw errnoError(calls().errno(), "memfd_create");
  return fd;
}

function unlinkedFile(): number {
  const path = `${tmpdir()}/sealfs-${randomUUID()}`;
  const fd = openSync(path, "wx+", 0o600);
  rmSync(path);
  return fd;
}
