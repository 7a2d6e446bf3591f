/**
 * The uncompressed bytes of a layer, within limits.
 *
 * @module
 */
import { readSync } from "node:fs";
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { BlobInput } from "./blob-input.ts";
import type { FileRange } from "../blob.ts";
import { RAISE_BOUND } from "../../tar/tar-options.ts";
import { SNIFF_BYTES, type Sniffed, hasMagic, isTar, sniff } from "./sniff.ts";
import { gunzipHandle, gunzipHandleWorks, gunzipStream } from "./gunzip.ts";
import { gunzipOwn } from "./gunzip-own.ts";
import { gunzipPointsWorks } from "./gunzip-points.ts";
import type { LayerPoints } from "./layer-points.ts";
import type { Compression } from "../media-types.ts";
import { unzstdHandle, unzstdHandleWorks, unzstdWasm } from "./unzstd.ts";
import type { NextBuffer } from "./zlib-handle.ts";

/**
 * For tests: which of two decoders that must agree is used. Private is faster, and used where it
 * works when nothing is said.
 */
export type Decoder = "documented" | "private";

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * The compression of a blob: as declared, when its first bytes allow that, else what they are. A
 * wrong reading cannot pass: the uncompressed bytes are checked against the diffID.
 *
 * @throws {@link FormatError} `MALFORMED` when they are neither what is declared nor any layer;
 *   `UNSUPPORTED` for compressions that no media type of a layer declares
 */
export function compressionOf(
  range: FileRange,
  declared: Compression | undefined,
  label: string,
): Compression {
  const buffer = new Uint8Array(Math.min(SNIFF_BYTES, range.size));
  const head = buffer.subarray(0, readSync(range.fd, buffer, 0, buffer.length, range.offset));
  if (declared !== undefined && declared !== "none" && hasMagic(head, declared)) return declared;
  const found: Sniffed = sniff(head);
  if (found === "none") {
    if (declared === undefined || declared === "none" || startsTar(head)) return found;
    const message = `${label}: expected ${declared} as declared, got neither that nor a tar`;
    throw new FormatError("MALFORMED", message);
  }
  if (found === "gzip" || found === "zstd") return found;
  throw new FormatError("UNSUPPORTED", `${label}: ${found} compression is not supported`, {
    hint: "compress the layer with gzip or zstd",
  });
}

/**
 * Whether `head` may be the start of a tar: a header, or the zeros that end an empty one, or nothing
 * (docker writes empty layers so).
 */
function startsTar(head: Uint8Array): boolean {
  if (head.length === 0) return true;
  return isTar(head) || (head.length === SNIFF_BYTES && head.every((byte) => byte === 0));
}

/**
 * Decompresses `input`. A chunk is valid until the next is asked for; it may lie in a buffer that
 * `next` gave.
 *
 * @param points is told where access points are
 * @param bound the most bytes, where that can be raised; see {@link layerBound}
 * @throws {@link FormatError} `LIMIT` as soon as there is more than the limits allow; `TRUNCATED`,
 *   `BAD_CHECKSUM` or `MALFORMED` when the compressed bytes are not right
 */
export async function* decode(
  input: BlobInput,
  compression: Compression,
  next: NextBuffer,
  label: string,
  decoder?: Decoder,
  points?: LayerPoints,
  bound?: number,
): AsyncGenerator<Uint8Array, void> {
  const most = bound ?? layerBound(input.size);
  let total = 0;
  for await (const chunk of decoded(input, compression, next, label, decoder, points)) {
    total += chunk.length;
    if (total > most) {
      const message = `${label}: expected at most ${most} uncompressed bytes (of ${input.size}), got more`;
      throw new FormatError("LIMIT", message, bound === undefined ? {} : { hint: RAISE_BOUND });
    }
    yield chunk;
  }
}

/**
 * The most bytes that the layer in a blob of `size` bytes may have: uncompressed, and with its sparse
 * files expanded. `asked` takes the place of what follows from the size.
 */
export function layerBound(size: number, asked?: number): number {
  const bound = asked ?? Math.max(limits.layerFloor, size * limits.layerRatio);
  return Math.min(limits.layerBytes, bound);
}

function decoded(
  input: BlobInput,
  compression: Compression,
  next: NextBuffer,
  label: string,
  decoder: Decoder | undefined,
  points: LayerPoints | undefined,
): Chunks {
  if (compression === "none") return stored(input, next);
  if (input.size === 0)
    throw new FormatError("TRUNCATED", `${label}: ${compression} stream is empty`);
  const tryPrivate = decoder !== "documented";
  if (compression === "gzip") {
    const works = tryPrivate && gunzipHandleWorks();
    if (points !== undefined) {
      return works && gunzipPointsWorks()
        ? gunzipHandle(input, next, label, points.finder)
        : gunzipOwn(input, label, points.finder);
    }
    return works ? gunzipHandle(input, next, label) : gunzipStream(input, label);
  }
  const works = tryPrivate && unzstdHandleWorks();
  const onFrame = points?.frame;
  return works ? unzstdHandle(input, next, label, onFrame) : unzstdWasm(input, label, onFrame);
}

function* stored(input: BlobInput, next: NextBuffer): Generator<Uint8Array, void> {
  while (!input.atEnd) yield input.readInto(next());
}
