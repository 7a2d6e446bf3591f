/**
 * Reading one layer in one thread: blob bytes in, uncompressed bytes out, digests of both.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import type { WrittenPoints } from "../../seek/point-writer.ts";
import { BlobInput } from "../codec/blob-input.ts";
import type { FileRange } from "../blob.ts";
import { type Decoder, compressionOf, decode } from "../codec/decode.ts";
import { DigestHasher, type OciDigest, algorithmOf, verifyDigest } from "../digest.ts";
import { LayerPoints } from "../codec/layer-points.ts";
import type { Compression } from "../media-types.ts";
import type { NextBuffer } from "../codec/zlib-handle.ts";

/** What is to be read, and what it must be; plain data, so that it can be sent to a thread. */
export interface LayerTask {
  readonly range: FileRange;
  readonly label: string;
  readonly compression: Compression | undefined;
  readonly digest: OciDigest | undefined;
  readonly diffId: OciDigest | undefined;
  /** Leaves the uncompressed bytes to be hashed by whom they are given to. */
  readonly leaveDiffId: boolean;
  readonly decoder?: Decoder | undefined;
  /** Whether access points are wanted. */
  readonly points?: boolean | undefined;
  /** The most uncompressed bytes; by default what follows from the size of the blob. */
  readonly bound?: number | undefined;
}

/** What a layer was, all of it checked against what was declared. */
export interface LayerReport {
  readonly compression: Compression;
  /** Uncompressed bytes. */
  readonly bytes: number;
  /** Digest of the blob: as declared, or by sha256. */
  readonly digest: OciDigest;
  /** Digest of the uncompressed bytes: as declared, or by sha256. */
  readonly diffId: OciDigest;
  /** When they were asked for. */
  readonly points?: WrittenPoints | undefined;
}

/** A report whose diffID may have been left to somebody else. */
export type StreamReport = Omit<LayerReport, "diffId"> & { readonly diffId: OciDigest | undefined };

/** Hashes the uncompressed bytes as the layer's diffID says. */
export function diffIdHasher(task: Pick<LayerTask, "diffId">): DigestHasher {
  return new DigestHasher(task.diffId ? algorithmOf(task.diffId) : "sha256");
}

/** @throws {@link IntegrityError} `DIGEST_MISMATCH` */
export function verifyDiffId(task: Pick<LayerTask, "diffId" | "label">, got: OciDigest): void {
  if (task.diffId !== undefined) verifyDigest(task.diffId, got, `${task.label}: diffID`);
}

/**
 * Yields the uncompressed bytes; returns the report once everything has been checked. A chunk is
 * valid until the next is asked for.
 *
 * @param next gives buffers to decompress into, where that saves a copy
 * @throws {@link IntegrityError} when size, digest or diffID are not as declared
 * @throws {@link FormatError} when the compressed bytes are broken, or there are more than the
 *   limits allow
 */
export async function* layerStream(
  task: LayerTask,
  next: NextBuffer,
  progress?: (bytes: number) => void,
): AsyncGenerator<Uint8Array, StreamReport> {
  const { range, label } = task;
  const compression = compressionOf(range, task.compression, label);
  const algorithm = task.digest ? algorithmOf(task.digest) : "sha256";
  const input = new BlobInput(range, label, algorithm);
  const same = compression === "none" && diffIdAlgorithm(task) === algorithm;
  const hasher = same || task.leaveDiffId ? undefined : diffIdHasher(task);
  const points = task.points === true ? new LayerPoints() : undefined;
  let bytes = 0;
  const { decoder, bound } = task;
  for await (const chunk of decode(input, compression, next, label, decoder, points, bound)) {
    hasher?.update(chunk);
    bytes += chunk.length;
    progress?.(input.taken);
    yield chunk;
  }
  const digest = input.digest();
  progress?.(input.taken);
  if (task.digest !== undefined) verifyDigest(task.digest, digest, label);
  const diffId = same ? digest : hasher?.digest();
  if (diffId !== undefined) verifyDiffId(task, diffId);
  return { compression, bytes, digest, diffId, points: points?.finish(bytes) };
}

function diffIdAlgorithm(task: LayerTask): string {
  return task.diffId ? algorithmOf(task.diffId) : "sha256";
}

/**
 * Broken bytes that are not the ones asked for are the source's fault, not the image's: another
 * source may have them. So what was found broken is read again for its digest; not behind a bomb.
 */
export function blame(
  error: unknown,
  { range, digest, label }: Pick<LayerTask, "range" | "digest" | "label">,
): unknown {
  const broken = error instanceof FormatError && error.code !== "LIMIT";
  if (!broken || digest === undefined) return error;
  try {
    verifyDigest(digest, new BlobInput(range, label, algorithmOf(digest)).digest(), label);
    return error;
  } catch (mismatch) {
    if (mismatch instanceof Error) mismatch.cause = error;
    return mismatch;
  }
}
