/**
 * Blobs where they lie: a run of bytes of an open file, which is a layout's blob file or an
 * archive. Nothing is extracted.
 *
 * @module
 */
import { type Stats, closeSync, fstatSync, statSync } from "node:fs";
import { FormatError, UsageError } from "../errors.ts";
import { failure } from "../fs/failure.ts";
import { readFully } from "../fs/descriptor-io.ts";
import { openUserFile } from "../fs/user-file.ts";
import { algorithmOf, digestOf, verifyDigest, verifySize } from "./digest.ts";
import type { OciDigest } from "./digest.ts";

/** `size` bytes from `offset` of the file behind `fd` on; plain data, which a thread can be sent. */
export interface FileRange {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

/** The same with a descriptor of its own; `close` when done. */
export interface BlobRange extends FileRange {
  close(): void;
}

/** Where the files of a layout are found by their path in it. */
export interface LayoutFiles {
  /** The layout or archive, for messages. */
  readonly label: string;
  has(path: string): boolean;
  /**
   * @throws {@link NotFoundError} `NO_FILE`
   * @throws {@link IntegrityError} `WRONG_TYPE` when it is no regular file
   */
  open(path: string): BlobRange;
  close(): void;
}

/**
 * The bytes of a range, whole.
 *
 * @throws {@link FormatError} `LIMIT` over `maxBytes`
 * @throws {@link IntegrityError} `SIZE_MISMATCH` when the file ends early
 */
export function readRange(range: BlobRange, maxBytes: number, what: string): Uint8Array {
  if (range.size > maxBytes) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${maxBytes} bytes, got ${range.size}`,
    );
  }
  const bytes = new Uint8Array(range.size);
  verifySize(range.size, readFully(range.fd, bytes, range.offset), what);
  return bytes;
}

/** A small file of a layout, whole. */
export function readFile(
  files: LayoutFiles,
  path: string,
  maxBytes: number,
  what = `${files.label}: ${path}`,
): Uint8Array {
  const range = files.open(path);
  try {
    return readRange(range, maxBytes, what);
  } catch (error) {
    throw failure(what, error);
  } finally {
    range.close();
  }
}

/** @throws {@link IntegrityError} when `bytes` are not what the descriptor says */
export function verifyBlob(
  bytes: Uint8Array,
  { digest, size }: { readonly digest: OciDigest; readonly size: number },
  what: string,
): void {
  verifySize(size, bytes.length, what);
  verifyDigest(digest, digestOf(bytes, algorithmOf(digest)), what);
}

/**
 * Opens a file that the user has named; symlinks in its path are the user's own.
 *
 * @throws {@link NotFoundError} `NO_FILE`
 * @throws {@link UsageError} when it is not a regular file
 * @throws {@link SystemError} when it cannot be opened
 */
export function openNamed(path: string): BlobRange {
  let fd: number;
  try {
    // Before it is opened: a fifo is not waited for.
    verifyFile(statSync(path, { throwIfNoEntry: false }), path);
    fd = openUserFile(path, path);
  } catch (error) {
    throw failure(path, error);
  }
  const stat = fstatSync(fd);
  try {
    verifyFile(stat, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, offset: 0, size: stat.size, close: () => closeSync(fd) };
}

function verifyFile(stat: Stats | undefined, path: string): void {
  if (stat === undefined || stat.isFile()) return;
  const hint = stat.isDirectory() ? {} : { hint: "give a file, a pipe, or - (standard input)" };
  throw new UsageError("USAGE", `${path}: expected a regular file`, hint);
}

/** A part of an open range that is closed with the whole. */
export function partOf(range: BlobRange, offset: number, size: number): BlobRange {
  return { fd: range.fd, offset: range.offset + offset, size, close() {} };
}
