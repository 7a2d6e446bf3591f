/**
 * The thread that reads layers: read, hash, decompress into a ring; one layer after the other.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { type EncodedError, encodeError } from "../../error-transfer.ts";
import type { WrittenPoints } from "../../seek/point-writer.ts";
import { type LayerTask, type StreamReport, layerStream } from "./layer-stream.ts";
import { RingCancelled, type RingMemory, RingWriter } from "./slab-ring.ts";

/** What the thread is sent. */
export interface LayerJob {
  readonly task: LayerTask;
  readonly ring: RingMemory;
}

/** What the thread answers when it has let go of ring and file. */
export interface LayerAnswer {
  /**
   * After a stream that did not end well it is not to be used again: zstddec keeps the memory of such
   * a stream, in all of the thread.
   */
  readonly spent: boolean;
  /** Too large for the ring. */
  readonly points?: WrittenPoints | undefined;
}

/** What the ring ends with, as JSON. */
export type LayerEnding = { readonly report: StreamReport } | { readonly error: EncodedError };

async function run({ task, ring }: LayerJob): Promise<LayerAnswer> {
  const writer = new RingWriter(ring);
  let ending: LayerEnding;
  let points: WrittenPoints | undefined;
  try {
    const stream = layerStream(task, writer.next, (bytes) => {
      writer.progress = bytes;
    });
    try {
      let result = await stream.next();
      for (; !result.done; result = await stream.next()) writer.write(result.value);
      const { points: found, ...report } = result.value;
      points = found;
      ending = { report };
    } finally {
      // Closes the decoder when the ring was cancelled.
      await stream.return(undefined as never);
    }
  } catch (error) {
    if (error instanceof RingCancelled) return { spent: true };
    ending = { error: encodeError(error) };
  }
  writer.end(JSON.stringify(ending));
  return { spent: "error" in ending, points };
}

async function answer(job: LayerJob): Promise<void> {
  const result = await run(job);
  parentPort!.postMessage(result, []);
}

parentPort!.on("message", (job: LayerJob) => void answer(job));
