/**
 * zstd (RFC 8878) as a stream of chunks: any number of frames, skippable ones between them.
 *
 * Node has a decoder since 22.15, but its documented stream ends with the first frame; the handle
 * inside it goes on. Where that does not work, zstddec (WebAssembly) does.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as zlib from "node:zlib";
import type { ZSTDDecoder } from "zstddec/stream";
import { FormatError, SystemError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type DecoderInput, type NextBuffer, ZlibHandle, tryDecoder } from "./zlib-handle.ts";
import { ZstdFrames, framed } from "./zstd-frames.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Base 2 logarithm of the largest window. */
export const WINDOW_LOG = Math.log2(limits.zstdWindowBytes);

// A frame that zstddec finds corrupt gives nothing, for ever. In a right stream the end of a frame
// may give nothing, and now and then a piece of the input.
const MAX_EMPTY = 1000;
const MAX_EMPTY_PER_FRAME = 4;

/** What Node 22.15 added; our types are those of the oldest Node that we run on. */
const node = zlib as unknown as {
  readonly createZstdDecompress?: (options: {
    readonly chunkSize: number;
    readonly params: Readonly<Record<number, number>>;
  }) => unknown;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number; readonly ZSTD_e_continue?: number };
};

/** Hears where a frame begins: bytes of the stream, and of the output, before it. */
export type OnFrame = (offset: number, out: number) => void;

/**
 * Decodes by the private handle of Node's decoder (see {@link unzstdHandleWorks}) into the buffers
 * that it is given; yields whenever one is full, and at the end.
 */
export function* unzstdHandle(
  input: DecoderInput,
  next: NextBuffer,
  label: string,
  onFrame?: OnFrame,
): Generator<Uint8Array, void> {
  const params = { [node.constants.ZSTD_d_windowLogMax!]: WINDOW_LOG };
  const handle = new ZlibHandle(node.createZstdDecompress!({ chunkSize: CHUNK_BYTES, params }));
  const flush = node.constants.ZSTD_e_continue!;
  try {
    let output = next();
    let filled = 0;
    let yielded = 0;
    const tell = onFrame && ((offset: number) => onFrame(offset, yielded + filled));
    for (const chunk of framed(input.chunks(), new ZstdFrames(label), tell)) {
      let used = 0;
      while (used < chunk.length || filled === output.length) {
        if (filled === output.length) {
          yield output;
          yielded += filled;
          output = next();
          filled = 0;
        }
        const before = used + filled;
        ({ used, filled } = handle.write(flush, chunk, used, output, filled));
        if (handle.error) throw corrupt(label, new Error(handle.error.message));
        if (used + filled === before && used < chunk.length) throw corrupt(label);
      }
    }
    if (filled > 0) yield output.subarray(0, filled);
  } finally {
    handle.close();
  }
}

let works: boolean | undefined;

/** Whether this Node has a decoder whose private handle does what we expect; tried once. */
export function unzstdHandleWorks(): boolean {
  works ??= node.createZstdDecompress !== undefined && tryHandle();
  return works;
}

/** A frame of 3000 bytes "zstd frames; " with a checksum, made by zstd 1.5.4. */
const TRIAL = "28b52ffd64b80aad0000687a737464206672616d65733b200100a8037f7e0128b3c655";

function tryHandle(): boolean {
  const text = Buffer.alloc(3000, "zstd frames; ");
  const frame = Buffer.from(TRIAL, "hex");
  const skippable = Buffer.from("502a4d1803000000616263", "hex");
  const damaged = Buffer.from(frame);
  damaged[damaged.length - 1]! ^= 1;
  const right = createHash("sha256").update(text).update(text).digest("hex");
  const run = (...parts: Uint8Array[]) => tryDecoder(unzstdHandle, Buffer.concat(parts));
  return (
    run(frame, skippable, frame) === right &&
    run(skippable, frame, frame, skippable) === right &&
    run(frame, damaged) === "BAD_CHECKSUM" &&
    run(frame, frame.subarray(0, -1)) === "TRUNCATED"
  );
}

let loading: Promise<ZSTDDecoder> | undefined;

/**
 * Decodes by zstddec. A chunk is valid until the next. What a stream that is not read to its good
 * end has allocated is lost to the thread, so this is for threads that can be thrown away.
 *
 * @throws {@link SystemError} when the decoder itself fails
 */
export async function* unzstdWasm(
  input: DecoderInput,
  label: string,
  onFrame?: OnFrame,
): AsyncGenerator<Uint8Array, void> {
  loading ??= load();
  const decoder = await loading;
  const frames = new ZstdFrames(label);
  let empty = 0;
  let out = 0;
  const tell = onFrame && ((offset: number) => onFrame(offset, out));
  try {
    for (const chunk of decoder.decodeStreaming(framed(input.chunks(), frames, tell) as never)) {
      out += chunk.length;
      if (chunk.length > 0) yield chunk;
      else if (++empty > MAX_EMPTY + frames.begun * MAX_EMPTY_PER_FRAME) throw corrupt(label);
    }
  } catch (error) {
    // zstddec's only message of its own: the framing is whole, so what is in it is not.
    const own = error instanceof Error && error.message.startsWith("Incomplete stream");
    if (own) throw corrupt(label, error);
    if ((error as Error).name !== "RuntimeError") throw error; // of WebAssembly
    throw new SystemError("IO", `${label}: the zstd decoder has failed`, { cause: error });
  }
}

async function load(): Promise<ZSTDDecoder> {
  const { ZSTDDecoder } = await import("zstddec/stream"); // large: only where it is needed
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return decoder;
}

function corrupt(label: string, cause?: unknown): FormatError {
  const message = `${label}: zstd: corrupt frame or wrong checksum`;
  return new FormatError("BAD_CHECKSUM", message, { cause });
}
