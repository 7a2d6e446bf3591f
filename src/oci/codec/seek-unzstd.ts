/**
 * Decompressing a part of a zstd layer, from the start of a frame on. By Node's own decoder where
 * there is one, else in JavaScript: the WebAssembly that builds use keeps memory of streams that do
 * not end well, and here a source decides how they end.
 *
 * Spec: RFC 8878.
 *
 * @module
 */
import * as zlib from "node:zlib";
import { FormatError } from "../../errors.ts";
import { WINDOW_LOG, unzstdHandleWorks } from "./unzstd.ts";
import { ZlibHandle } from "./zlib-handle.ts";
import { ZstdFrames } from "./zstd-frames.ts";

const CHUNK_BYTES = 64 * 1024;
/** Input given to the decoder at once: of a few bytes it may make 128 KiB. */
const STEP = 1024;

/** For tests: which of the two decoders that must agree. */
export type FrameDecoder = "zstd" | "own";

/**
 * The uncompressed bytes that follow, up to `length` of them, in chunks that are valid until the
 * next.
 *
 * @throws {@link FormatError} when `chunks` are no zstd frames
 */
export async function* unzstdFrom(
  chunks: AsyncIterable<Uint8Array>,
  length: number,
  label: string,
  decoder?: FrameDecoder,
): AsyncGenerator<Uint8Array, void> {
  const decode = decoder !== "own" && unzstdHandleWorks() ? byHandle : inJavaScript;
  let left = length;
  for await (const chunk of decode(checked(chunks, label), () => left, label)) {
    const wanted = chunk.subarray(0, left);
    left -= wanted.length;
    if (wanted.length > 0) yield wanted;
    if (left === 0) return;
  }
}

/** Windows are allocated by decoders before anybody has asked how large they are. */
async function* checked(chunks: AsyncIterable<Uint8Array>, label: string) {
  const frames = new ZstdFrames(label);
  for await (const chunk of chunks) {
    frames.push(chunk);
    if (chunk.length > 0) yield chunk;
  }
}

type Chunks = AsyncGenerator<Uint8Array, void>;

async function* byHandle(chunks: Chunks, left: () => number, label: string): Chunks {
  const node = zlib as unknown as {
    createZstdDecompress(options: object): unknown;
    readonly constants: { ZSTD_d_windowLogMax: number; ZSTD_e_continue: number };
  };
  const params = { [node.constants.ZSTD_d_windowLogMax]: WINDOW_LOG };
  const handle = new ZlibHandle(node.createZstdDecompress({ chunkSize: CHUNK_BYTES, params }));
  const output = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  try {
    for await (const chunk of chunks) {
      let used = 0;
      for (;;) {
        const before = used;
        const room = output.subarray(0, Math.min(CHUNK_BYTES, left()));
        const result = handle.write(node.constants.ZSTD_e_continue, chunk, used, room, 0);
        if (handle.error) throw corrupt(label, new Error(handle.error.message));
        used = result.used;
        if (result.filled > 0) yield output.subarray(0, result.filled);
        else if (used === before && used < chunk.length) throw corrupt(label);
        if (used === chunk.length && result.filled < room.length) break;
      }
    }
  } finally {
    handle.close();
  }
}

async function* inJavaScript(chunks: Chunks, left: () => number, label: string): Chunks {
  const { Decompress } = await import("fzstd"); // only where it is needed
  let ready: Uint8Array[] = [];
  let bytes = 0;
  const stream = new Decompress((data) => {
    bytes += data.length;
    ready.push(data.slice());
    if (bytes >= left()) throw new EnoughError();
  });
  const push = (input: Uint8Array, last: boolean) => {
    bytes = 0;
    ready = [];
    try {
      stream.push(input, last);
    } catch (error) {
      if (!(error instanceof EnoughError)) throw corrupt(label, error);
    }
    return ready;
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += STEP) {
      yield* push(chunk.slice(at, at + STEP), false);
    }
  }
  // A frame of a few bytes is kept until it is known that no more come.
  yield* push(new Uint8Array(0), true);
}

/** Ends decoding in the middle of a block that gives more than is wanted. */
class EnoughError extends Error {}

function corrupt(label: string, cause?: unknown): FormatError {
  return new FormatError("MALFORMED", `${label}: zstd: corrupt frame`, { cause });
}
