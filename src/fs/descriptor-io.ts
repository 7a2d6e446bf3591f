/**
 * Reading and writing an open file in full, where one system call may stop halfway.
 *
 * @module
 */
import { readSync, writeSync } from "node:fs";

/** Fills `bytes` from `position` of a file on; returns how many bytes there were. */
export function readFully(fd: number, bytes: Uint8Array, position: number): number {
  let at = 0;
  while (at < bytes.length) {
    const got = readSync(fd, bytes, at, bytes.length - at, position + at);
    if (got === 0) break;
    at += got;
  }
  return at;
}

/** Writes all of `bytes` at `position`, by default where the last write has ended. */
export function writeFully(fd: number, bytes: Uint8Array, position?: number): void {
  for (let at = 0; at < bytes.length;) {
    const place = position === undefined ? null : position + at;
    at += writeSync(fd, bytes, at, bytes.length - at, place);
  }
}
