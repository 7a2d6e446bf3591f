/**
 * A layer as a stream: the blob is read where it lies, hashed, decompressed, and the uncompressed
 * bytes are hashed too. What the stream has yielded is only to be believed when it has ended well.
 *
 * Spec: OCI image spec, layer.md and config.md ("Layer DiffID"); RFC 1952; RFC 8878.
 *
 * @module
 */
import { NetworkError } from "../../errors.ts";
import type { BlobRange } from "../blob.ts";
import { type Decoder, compressionOf } from "../codec/decode.ts";
import { verifySize } from "../digest.ts";
import type { LayerDescriptor, OciImage } from "../image.ts";
import {
  type LayerReport,
  type LayerTask,
  type StreamReport,
  blame,
  diffIdHasher,
  layerStream,
  verifyDiffId,
} from "./layer-stream.ts";
import { LayerThread } from "./layer-thread.ts";
import type { Compression } from "../media-types.ts";
import { unzstdHandleWorks } from "../codec/unzstd.ts";

export type { LayerReport } from "./layer-stream.ts";

export interface LayerOptions {
  /** Hears how many more bytes of the blob have been read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /**
   * Where the blob is read and decompressed: in a thread of its own, or in the caller's. By
   * default small layers here, because starting a thread takes as long as they do.
   */
  readonly thread?: "own" | "here";
  /** Whether access points are wanted, for a seek index. */
  readonly points?: boolean | undefined;
  /** The most uncompressed bytes; by default what follows from the size of the blob. */
  readonly bound?: number | undefined;
  /** For tests: which of two decoders is used. */
  readonly decoder?: Decoder;
  /** For benches: where the diffID is computed when a thread of its own reads. */
  readonly diffIdIn?: "own" | "here";
}

/** Blobs up to this size are read in the caller's thread. */
const SMALL_BYTES = 2 * 1024 * 1024;
const BUFFER_BYTES = 1024 * 1024;

/**
 * Reads a layer; `write` gets the uncompressed bytes in order, in chunks that are valid during the
 * call only. What it throws ends the reading and is thrown from here.
 *
 * @throws {@link IntegrityError} when size, digest or diffID are not as declared
 * @throws {@link FormatError} `MALFORMED`, `TRUNCATED`, `BAD_CHECKSUM` or `LIMIT` when the
 *   compressed bytes are broken or a bomb, `UNSUPPORTED` for a compression that layers do not have
 */
export async function readLayer(
  image: Pick<OciImage, "openBlob" | "prepare">,
  layer: LayerDescriptor,
  write: (chunk: Uint8Array) => void,
  options: LayerOptions = {},
): Promise<LayerReport> {
  const stream = layerChunks(image, layer, options);
  try {
    let result = await stream.next();
    for (; !result.done; result = await stream.next()) write(result.value);
    return result.value;
  } catch (error) {
    await stream.return(undefined as never);
    // What did not come has no bytes to look at.
    if (error instanceof NetworkError) throw error;
    throw blamed(error, image, layer);
  }
}

/**
 * The same as chunks to iterate over, each valid until the next is asked for; the generator's
 * return value is the report. Leaving the loop early ends the reading.
 */
export async function* layerChunks(
  image: Pick<OciImage, "openBlob" | "prepare">,
  layer: LayerDescriptor,
  options: LayerOptions = {},
): AsyncGenerator<Uint8Array, LayerReport> {
  await image.prepare?.(layer);
  const range = image.openBlob(layer);
  try {
    verifySize(layer.size, range.size, layer.label);
    const compression = compressionOf(range, layer.compression, layer.label);
    const read = goesToThread(range.size, compression, options) ? fromThread : fromHere;
    return yield* read(range, { ...layer, compression }, options);
  } catch (error) {
    throw blame(error, { ...layer, range });
  } finally {
    range.close();
  }
}

/** What `write` found broken may be so because it is not what was asked for. */
function blamed(
  error: unknown,
  image: Pick<OciImage, "openBlob" | "prepare">,
  layer: LayerDescriptor,
) {
  const range = image.openBlob(layer);
  try {
    return blame(error, { ...layer, range });
  } finally {
    range.close();
  }
}

function goesToThread(size: number, compression: Compression, options: LayerOptions): boolean {
  if (options.thread !== undefined) return options.thread === "own";
  // zstd in WebAssembly may cost the thread that it runs in.
  return size > SMALL_BYTES || (compression === "zstd" && !hasQuickZstd(compression));
}

function hasQuickZstd(compression: Compression | undefined): boolean {
  return compression === "zstd" && unzstdHandleWorks();
}

function taskOf(
  { fd, offset, size }: BlobRange,
  { label, compression, digest, diffId }: LayerDescriptor,
  { decoder, points, bound }: LayerOptions,
  leaveDiffId: boolean,
): LayerTask {
  const range = { fd, offset, size };
  return { range, label, compression, digest, diffId, leaveDiffId, decoder, points, bound };
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

async function* fromThread(
  range: BlobRange,
  layer: LayerDescriptor,
  options: LayerOptions,
): AsyncGenerator<Uint8Array, LayerReport> {
  // Inflating, and zstd in WebAssembly, is more work than hashing what comes of it.
  const quick = layer.compression === "none" || hasQuickZstd(layer.compression);
  const here = options.diffIdIn ? options.diffIdIn === "here" : !quick;
  const task = taskOf(range, layer, options, here);
  const hasher = here ? diffIdHasher(task) : undefined;
  const progress = steps(options.onRead);
  const thread = LayerThread.start(task);
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
  progress?.(thread.progress);
  let { diffId } = report;
  if (diffId === undefined) {
    diffId = hasher!.digest();
    verifyDiffId(task, diffId);
  }
  return { ...report, diffId, points: thread.points };
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
