/**
 * Blobs of which parts can be read: in a registry, behind a web server, in a local file. What they
 * give is as untrusted as everything that comes from a source.
 *
 * @module
 */
import { readSync } from "node:fs";
import { IntegrityError } from "../errors.ts";
import { failure } from "../fs/failure.ts";
import type { FileRange } from "./blob.ts";

/** The compressed bytes of one blob, by ranges. */
export interface BlobRanges {
  /** Bytes of the blob, as it was declared. */
  readonly size: number;
  /**
   * The bytes from `start` up to and without `end`, in chunks of any size, which stay valid. May
   * throw typed errors; may give too few bytes, or wrong ones.
   */
  read(
    start: number,
    end: number,
    options: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
}

const CHUNK_BYTES = 256 * 1024;

/** A blob that lies in an open file; the caller closes that. */
export function fileRanges(range: FileRange, label: string): BlobRanges {
  return {
    size: range.size,
    async *read(start, end, { signal }) {
      for (let at = start; at < end;) {
        signal?.throwIfAborted();
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
        const got = readAt(range, chunk, at, label);
        if (got === 0) {
          const message = `${label}: expected ${range.size} bytes, got ${at}`;
          throw new IntegrityError("SIZE_MISMATCH", message);
        }
        yield chunk.subarray(0, got);
        at += got;
      }
    },
  };
}

function readAt({ fd, offset, size }: FileRange, into: Uint8Array, at: number, label: string) {
  try {
    return readSync(fd, into, 0, Math.min(into.length, Math.max(0, size - at)), offset + at);
  } catch (error) {
    throw failure(label, error);
  }
}
