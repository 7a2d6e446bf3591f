/**
 * Where fsck may copy objects from to repair a store: other stores, and anything else that can give
 * an object. None of them is trusted.
 *
 * @module
 */
import { closeSync, createReadStream } from "node:fs";
import { SealfsError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { LocalObjects } from "../store.ts";

/** A place that may have objects. */
export interface RepairSource {
  /**
   * The bytes of an object, unchecked; undefined when the source does not have it. A source that
   * fails on the way throws, and the next one is asked. `size` is undefined for images, whose size
   * is not known.
   */
  give(digest: VerityDigest, size: number | undefined): AsyncIterable<Uint8Array> | undefined;
}

const CHUNK_BYTES = 1024 * 1024;

/** Another store as a source. */
export function repairFrom(store: Pick<LocalObjects, "open">): RepairSource {
  return {
    give(digest) {
      let fd: number;
      try {
        fd = store.open(digest);
      } catch (error) {
        if (error instanceof SealfsError) return undefined;
        throw error;
      }
      return readAndClose(fd);
    },
  };
}

async function* readAndClose(fd: number): AsyncGenerator<Uint8Array> {
  try {
    const stream = createReadStream("", { fd, autoClose: false, highWaterMark: CHUNK_BYTES });
    yield* stream as AsyncIterable<Uint8Array>;
  } finally {
    closeSync(fd);
  }
}
