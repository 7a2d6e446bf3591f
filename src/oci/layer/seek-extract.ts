/**
 * Bytes of an object out of its layer's blob, of which only a part is read. What comes out is as
 * untrusted as blob and index are: check it against the object's digest. But it is never more than
 * was asked for, whatever they say.
 *
 * Spec: docs/seek-index.md, "Reading an object".
 *
 * @module
 */
import { FormatError, IntegrityError, NotFoundError } from "../../errors.ts";
import type { SeekIndex } from "../../seek/seek-index.ts";
import type { SeekLayer } from "../../seek/layer.ts";
import { type ObjectRange, type ReadPlan, planLayer, planRead } from "../../seek/read-plan.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { BlobRanges } from "../blob-ranges.ts";
import { gunzipFrom } from "../codec/seek-gunzip.ts";
import { unzstdFrom } from "../codec/seek-unzstd.ts";

export interface ExtractOptions {
  readonly signal?: AbortSignal | undefined;
  /** For tests: which of two decoders that must agree is used. */
  readonly decoder?: "own" | undefined;
}

/** A plan for uncompressed bytes of a layer; see {@link planRead}. */
export type LayerRead = Omit<ReadPlan, "pieces">;

const ZEROS = new Uint8Array(64 * 1024);

/**
 * The bytes of a range of an object, exactly as many as it has, in chunks that are valid until the
 * next.
 *
 * @param blob of the layer that the index places the object in
 * @throws {@link NotFoundError} `NO_OBJECT` when the index does not know the object
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when `blob` is not what was indexed, as far as that
 *   can be seen here, and whatever `blob` throws
 */
export async function* extract(
  index: SeekIndex,
  digest: VerityDigest,
  range: ObjectRange,
  blob: BlobRanges,
  options: ExtractOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const plan = planRead(index, digest, range);
  if (plan === undefined) {
    throw new NotFoundError("NO_OBJECT", `object ${digest}: in none of the layers`);
  }
  const stored = readLayerBytes(index, plan, blob, options);
  let rest: Uint8Array = ZEROS.subarray(0, 0);
  try {
    for (const piece of plan.pieces) {
      for (let left = piece.length; left > 0;) {
        if (piece.stored && rest.length === 0) rest = (await stored.next()).value as Uint8Array;
        const part = (piece.stored ? rest : ZEROS).subarray(0, left);
        if (piece.stored) rest = rest.subarray(part.length);
        left -= part.length;
        yield part;
      }
    }
  } finally {
    await stored.return();
  }
}

/**
 * The uncompressed bytes of a layer that a plan wants, exactly as many. Otherwise as {@link extract}.
 */
export async function* readLayerBytes(
  index: SeekIndex,
  plan: LayerRead,
  blob: BlobRanges,
  { signal, decoder }: ExtractOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { layer, length } = plan;
  if (length === 0) return;
  let left = length;
  let skip = plan.skip;
  try {
    const bytes = blob.read(plan.blob.start, plan.blob.end, { signal });
    for await (const chunk of decoded(index, plan, capped(bytes, plan.blob), decoder)) {
      signal?.throwIfAborted();
      const passed = Math.min(skip, chunk.length);
      skip -= passed;
      const wanted = chunk.subarray(passed, passed + left);
      left -= wanted.length;
      if (wanted.length > 0) yield wanted;
      if (left === 0) return;
    }
  } catch (error) {
    if (error instanceof FormatError) throw otherBytes(layer.digest, error);
    throw error;
  }
  throw otherBytes(layer.digest);
}

/** {@link readLayerBytes} of what lies somewhere in one of the index's layers. */
export function layerReader(index: SeekIndex) {
  return (
    layer: SeekLayer,
    { offset, length }: { readonly offset: number; readonly length: number },
    blob: BlobRanges,
    options: ExtractOptions,
  ): AsyncIterable<Uint8Array> =>
    readLayerBytes(index, planLayer(layer, offset, length), blob, options);
}

/** No more than was asked for, whatever the source gives. */
async function* capped(
  bytes: AsyncIterable<Uint8Array>,
  { start, end }: ReadPlan["blob"],
): AsyncGenerator<Uint8Array, void> {
  let left = end - start;
  for await (const chunk of bytes) {
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (part.length > 0) yield part;
    if (left === 0) return;
  }
}

function decoded(
  index: SeekIndex,
  plan: LayerRead,
  bytes: AsyncIterable<Uint8Array>,
  decoder: ExtractOptions["decoder"],
): AsyncIterable<Uint8Array> {
  const { number, digest, compression, points } = plan.layer;
  const most = plan.skip + plan.length;
  switch (compression) {
    case "none":
      return bytes;
    case "zstd":
      return unzstdFrom(bytes, most, digest, decoder);
    case "gzip": {
      const window = index.layers[number]!.points.window(plan.point);
      return gunzipFrom(bytes, points.bit(plan.point) & 7, window, most, decoder);
    }
  }
}

function otherBytes(digest: string, cause?: unknown): IntegrityError {
  const message = `layer ${digest}: what came is not what was indexed`;
  return new IntegrityError("DIGEST_MISMATCH", message, { cause });
}
