/**
 * Archives that are compressed: as a stream, or as a copy that can be read at any offset.
 *
 * @module
 */
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { type BlobRange, type FileRange, partOf } from "../blob.ts";
import { layerBound } from "../codec/decode.ts";
import { undeclaredLayer } from "../image.ts";
import { layerChunks } from "../layer/layer.ts";
import { openUnnamed } from "./spool.ts";

export interface DecompressOptions {
  /** Ends it; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** The most decompressed bytes; by default what follows from the size, as for layers. */
  readonly maxLayerBytes?: number | undefined;
}

/**
 * The decompressed bytes of gzip or zstd; a chunk is valid until the next is asked for.
 *
 * @throws {@link FormatError} as for layers, which have the same limits; the reason of `signal`
 */
export async function* decompressed(
  range: FileRange,
  label: string,
  { signal, maxLayerBytes }: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const whole = partOf({ ...range, close() {} }, 0, range.size);
  const bytes = undeclaredLayer(label, range.size);
  const bound = layerBound(range.size, maxLayerBytes);
  for await (const chunk of layerChunks({ openBlob: () => whole }, bytes, { bound })) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

/**
 * A decompressed copy in a file without a name, in `TMPDIR` (else /var/tmp).
 *
 * @throws as {@link decompressed}; {@link SystemError} `NO_SPACE` and others
 */
export async function decompressedCopy(
  range: FileRange,
  label: string,
  options?: DecompressOptions,
): Promise<BlobRange> {
  const copy = openUnnamed();
  let size = 0;
  try {
    for await (const chunk of decompressed(range, label, options)) {
      writeFully(copy.fd, chunk);
      size += chunk.length;
    }
    return { ...copy, size };
  } catch (error) {
    copy.close();
    throw failure(`${label}: decompressing it into a temporary file`, error);
  }
}
