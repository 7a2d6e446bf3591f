/**
 * The thread that reads layers: read, hash, decompress into a ring; one layer after the other.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { SealfsError } from "../errors.ts";
import { type LayerTask, type StreamReport, layerStream } from "./layer-stream.ts";
import { RingCancelled, type RingMemory, RingWriter } from "./slab-ring.ts";

/** What the thread is sent. */
export interface LayerJob {
  readonly task: LayerTask;
  readonly ring: RingMemory;
}

/**
 * What the thread answers when it has let go of ring and file. After a stream that did not end well
 * it is not to be used again: zstddec keeps the memory of such a stream, in all of the thread.
 */
export type LayerAnswer = "done" | "spent";

/** What the ring ends with, as JSON. */
export type LayerEnding =
  | { readonly report: StreamReport }
  | {
      readonly error: {
        readonly name: string;
        readonly code?: string;
        readonly message: string;
        readonly hint?: string | undefined;
      };
    };

async function run({ task, ring }: LayerJob): Promise<LayerAnswer> {
  const writer = new RingWriter(ring);
  let ending: LayerEnding;
  try {
    const stream = layerStream(task, writer.next, (bytes) => {
      writer.progress = bytes;
    });
    try {
      let result = await stream.next();
      for (; !result.done; result = await stream.next()) writer.write(result.value);
      ending = { report: result.value };
    } finally {
      // Closes the decoder when the ring was cancelled.
      await stream.return(undefined as never);
    }
  } catch (error) {
    if (error instanceof RingCancelled) return "spent";
    ending = { error: plain(error) };
  }
  writer.end(JSON.stringify(ending));
  return "error" in ending ? "spent" : "done";
}

function plain(error: unknown): Extract<LayerEnding, { error: unknown }>["error"] {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const short = message.slice(0, 4096);
  if (!(error instanceof SealfsError)) return { name, message: short };
  return { name, code: error.code, message: short, hint: error.hint };
}

async function answer(job: LayerJob): Promise<void> {
  const result: LayerAnswer = await run(job);
  parentPort!.postMessage(result, []);
}

parentPort!.on("message", (job: LayerJob) => void answer(job));
