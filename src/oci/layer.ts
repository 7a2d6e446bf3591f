/**
 * A layer as a stream: the blob is read where it lies, hashed, decompressed, and the uncompressed
 * bytes are hashed too. What the stream has yielded is only to be believed when it has ended well.
 *
 * Spec: OCI image spec, layer.md and config.md ("Layer DiffID"); RFC 1952; RFC 8878.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import * as errors from "../errors.ts";
import { workerUrl } from "../sys/worker.ts";
import type { BlobRange } from "./blob.ts";
import type { Decoder } from "./decode.ts";
import { verifySize } from "./digest.ts";
import type { LayerDescriptor, OciImage } from "./image.ts";
import {
  type LayerReport,
  type LayerTask,
  type StreamReport,
  diffIdHasher,
  layerStream,
  verifyDiffId,
} from "./layer-stream.ts";
import type { LayerEnding, LayerJob } from "./layer-worker.ts";
import { RingReader, createRing } from "./slab-ring.ts";

export type { LayerReport } from "./layer-stream.ts";

export interface LayerOptions {
  /** Hears how many more bytes of the blob have been read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /**
   * Where the blob is read and decompressed: in a thread of its own, or in the caller's. By
   * default small layers here, because starting a thread takes as long as they do.
   */
  readonly thread?: "worker" | "here";
  /** For tests: which of two decoders is used. */
  readonly decoder?: Decoder;
  /** For benches: where the diffID is computed when a worker reads. */
  readonly diffIdIn?: "worker" | "here";
}

/** Blobs up to this size are read in the caller's thread. */
const SMALL_BYTES = 1024 * 1024;
const BUFFER_BYTES = 1024 * 1024;

/**
 * Reads a layer; `write` gets the uncompressed bytes in order, in chunks that are valid during the
 * call only. What it throws ends the reading and is thrown from here.
 *
 * @throws {@link IntegrityError} when size, digest or diffID are not as declared
 * @throws {@link FormatError} `MALFORMED`, `TRUNCATED`, `BAD_CHECKSUM` or `LIMIT` when the compressed
 *   bytes are broken or a bomb, `UNSUPPORTED` for a compression that layers do not have
 */
export async function readLayer(
  image: Pick<OciImage, "openBlob">,
  layer: LayerDescriptor,
  write: (chunk: Uint8Array) => void,
  options: LayerOptions = {},
): Promise<LayerReport> {
  const stream = layerChunks(image, layer, options);
  try {
    let result = await stream.next();
    for (; !result.done; result = await stream.next()) write(result.value);
    return result.value;
  } finally {
    await stream.return(undefined as never);
  }
}

/**
 * The same as chunks to iterate over, each valid until the next is asked for; the generator's
 * return value is the report. Leaving the loop early ends the reading.
 */
export async function* layerChunks(
  image: Pick<OciImage, "openBlob">,
  layer: LayerDescriptor,
  options: LayerOptions = {},
): AsyncGenerator<Uint8Array, LayerReport> {
  const range = image.openBlob(layer);
  try {
    verifySize(layer.size, range.size, layer.label);
    const inWorker = options.thread ? options.thread === "worker" : range.size > SMALL_BYTES;
    return yield* inWorker ? fromWorker(range, layer, options) : fromHere(range, layer, options);
  } finally {
    range.close();
  }
}

function taskOf(
  { fd, offset, size }: BlobRange,
  { label, compression, digest, diffId }: LayerDescriptor,
  { decoder }: LayerOptions,
  leaveDiffId: boolean,
): LayerTask {
  const range = { fd, offset, size };
  return { range, label, compression, digest, diffId, leaveDiffId, decoder };
}

async function* fromHere(
  range: BlobRange,
  layer: LayerDescriptor,
  options: LayerOptions,
): AsyncGenerator<Uint8Array, LayerReport> {
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  const task = taskOf(range, layer, options, false);
  return (yield* layerStream(task, () => buffer, steps(options.onRead))) as LayerReport;
}

async function* fromWorker(
  range: BlobRange,
  layer: LayerDescriptor,
  options: LayerOptions,
): AsyncGenerator<Uint8Array, LayerReport> {
  // The thread that decompresses gzip is the busier one; zstd leaves it time to hash.
  const here = options.diffIdIn ? options.diffIdIn === "here" : layer.compression !== "zstd";
  const task = taskOf(range, layer, options, here);
  const hasher = here ? diffIdHasher(task) : undefined;
  const progress = steps(options.onRead);
  const thread = new LayerThread(task);
  let report: StreamReport;
  try {
    for (let chunk = await thread.next(); chunk !== undefined; chunk = await thread.next()) {
      hasher?.update(chunk);
      progress?.(thread.progress);
      yield chunk;
    }
    report = thread.report();
  } finally {
    // Only then may the blob be closed: the thread reads from its descriptor.
    await thread.close();
  }
  progress?.(range.size);
  let { diffId } = report;
  if (diffId === undefined) {
    diffId = hasher!.digest();
    verifyDiffId(task, diffId);
  }
  return { ...report, diffId };
}

/** Turns a running count into steps. */
function steps(onRead: LayerOptions["onRead"]): ((bytes: number) => void) | undefined {
  if (onRead === undefined) return undefined;
  let told = 0;
  return (bytes) => {
    if (bytes > told) onRead(bytes - told);
    told = bytes;
  };
}

/** A worker thread that reads one layer into a ring, seen from the outside. */
class LayerThread {
  readonly #reader: RingReader;
  readonly #exit: Promise<void>;
  #crash: unknown;

  constructor(task: LayerTask) {
    const ring = createRing();
    this.#reader = new RingReader(ring);
    const workerData: LayerJob = { task, ring };
    const worker = new Worker(workerUrl(import.meta.url, "./layer-worker.ts"), {
      workerData,
      // Whatever loaders this process was started with are for this process.
      execArgv: [],
    });
    worker.on("error", (error) => {
      this.#crash = error;
    });
    this.#exit = new Promise((resolve) => {
      worker.on("exit", () => {
        this.#reader.cancel(); // for a thread that died without an ending
        resolve();
      });
    });
  }

  next(): Promise<Uint8Array | undefined> {
    return this.#reader.next();
  }

  get progress(): number {
    return this.#reader.progress;
  }

  /** What the thread ended with; throws what it ended by. */
  report(): StreamReport {
    const text = this.#reader.ending;
    if (text === "") {
      throw new errors.SystemError("IO", "the thread that reads a layer has died", {
        cause: this.#crash,
      });
    }
    const ending = JSON.parse(text) as LayerEnding;
    if ("error" in ending) throw revive(ending.error);
    return ending.report;
  }

  /** Makes the thread stop when it has not ended, and waits until it has. */
  close(): Promise<void> {
    this.#reader.cancel();
    return this.#exit;
  }
}

function revive(error: Extract<LayerEnding, { error: unknown }>["error"]): Error {
  const { name, code, message, hint } = error;
  const options = hint === undefined ? {} : { hint };
  switch (name) {
    case "FormatError":
      return new errors.FormatError(code as errors.FormatError["code"], message, options);
    case "IntegrityError":
      return new errors.IntegrityError(code as errors.IntegrityError["code"], message, options);
    case "SystemError":
      return new errors.SystemError(code as errors.SystemError["code"], message, options);
    default:
      return new Error(message);
  }
}
