/**
 * zstd (RFC 8878) as a stream of chunks: any number of frames, skippable ones between them.
 * Node's own decoder where there is one (22.15 and later), else zstddec (WebAssembly).
 *
 * @module
 */
import { Readable, pipeline } from "node:stream";
import * as zlib from "node:zlib";
import type { ZSTDDecoder } from "zstddec/stream";
import { FormatError } from "../errors.ts";
import type { BlobInput } from "./blob-input.ts";
import { zstdFrames } from "./zstd-frames.ts";

const CHUNK = 1024 * 1024;

// An end of input, a full block header or an empty frame may give nothing; a frame that zstddec
// finds corrupt gives nothing for ever.
const MAX_EMPTY = 1000;

/** What Node 22.15 added; the types are those of the oldest Node that we run on. */
interface ZstdModule {
  createZstdDecompress?: (options: {
    chunkSize: number;
    params: Record<number, number>;
  }) => NodeJS.ReadWriteStream & { bytesWritten: number };
  constants: { ZSTD_d_windowLogMax?: number };
}
const node = zlib as unknown as ZstdModule;

export const hasNodeZstd = node.createZstdDecompress !== undefined;

/** Decodes by Node's own decoder. Chunks stay valid. */
export async function* unzstdNode(
  input: BlobInput,
  label: string,
): AsyncGenerator<Uint8Array, void> {
  const params = { [node.constants.ZSTD_d_windowLogMax!]: 27 };
  const decoder = node.createZstdDecompress!({ chunkSize: CHUNK, params });
  const source = Readable.from(zstdFrames(input.chunks(true), label), {
    highWaterMark: 1,
  });
  pipeline(source, decoder, () => {});
  try {
    for await (const chunk of decoder as AsyncIterable<unknown>) yield chunk as Uint8Array;
  } catch (error) {
    throw zstdError(error, label);
  }
  if (decoder.bytesWritten !== input.size) throw corrupt(label);
}

let loading: Promise<ZSTDDecoder> | undefined;

/** Decodes by zstddec. A chunk is valid until the next. */
export async function* unzstdWasm(
  input: BlobInput,
  label: string,
): AsyncGenerator<Uint8Array, void> {
  loading ??= (async () => {
    const { ZSTDDecoder } = await import("zstddec/stream"); // large: only where it is needed
    const decoder = new ZSTDDecoder();
    await decoder.init();
    return decoder;
  })();
  const decoder = await loading;
  let empty = 0;
  try {
    for (const chunk of decoder.decodeStreaming(zstdFrames(input.chunks(), label) as never)) {
      if (chunk.length > 0) {
        empty = 0;
        yield chunk;
      } else if (++empty > MAX_EMPTY) throw corrupt(label);
    }
  } catch (error) {
    throw zstdError(error, label);
  }
}

function zstdError(error: unknown, label: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  // zstddec's only message of its own: the framing is whole, so what is in it is not.
  const ours = code?.startsWith("ZSTD_") === true || message.startsWith("Incomplete stream");
  return ours ? corrupt(label, error) : error;
}

function corrupt(label: string, cause?: unknown): FormatError {
  return new FormatError("BAD_CHECKSUM", `${label}: zstd: corrupt frame or wrong checksum`, {
    cause,
  });
}
