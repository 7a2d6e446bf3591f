/**
 * An image as the build side sees it, whatever it came from: its documents, and its layers as
 * ranges of open files.
 *
 * @module
 */
import type { BlobRange } from "./blob.ts";
import type { ImageConfig } from "./config.ts";
import type { OciDigest } from "./digest.ts";
import type { DeclaredPlatform } from "../platform/platform.ts";
import type { Compression } from "./media-types.ts";

/** A layer before it is read: what is known about its bytes, all of it checked while reading. */
export interface LayerDescriptor {
  /** For messages: `layer 2 of 5 (sha256:…)`. */
  readonly label: string;
  readonly mediaType: string | undefined;
  /** As the media type declares, which may be wrong; undefined: by the first bytes only. */
  readonly compression: Compression | undefined;
  /** Digest of the blob; undefined in a docker-archive and for a plain tar. */
  readonly digest: OciDigest | undefined;
  /** Bytes of the blob. */
  readonly size: number;
  /** Digest of the uncompressed layer; undefined for a plain tar. */
  readonly diffId: OciDigest | undefined;
  readonly annotations: ReadonlyMap<string, string>;
  /** Whether its descriptor has `urls`, so that its blob may be missing. */
  readonly isForeign?: boolean;
}

/** An open image; `close` it when its layers have been read. */
export interface OciImage {
  /** Where it came from, for messages. */
  readonly label: string;
  /** Digest of the image manifest; undefined when there is none (docker-archive, plain tars). */
  readonly manifestDigest: OciDigest | undefined;
  readonly manifestBytes: Uint8Array | undefined;
  /** Of the manifest. */
  readonly mediaType: string | undefined;
  /** Digest of the configuration, which is Docker's image id; undefined for plain tars. */
  readonly configDigest: OciDigest | undefined;
  readonly config: ImageConfig | undefined;
  /** What it runs on, as far as index and configuration say. */
  readonly platform: DeclaredPlatform;
  /** Of the manifest. */
  readonly annotations: ReadonlyMap<string, string>;
  /** The lowest first. */
  readonly layers: readonly LayerDescriptor[];
  /**
   * Brings the bytes of one of `layers` here, where they are elsewhere; to be awaited before
   * {@link openBlob}.
   */
  prepare?(layer: LayerDescriptor): Promise<void>;
  /**
   * Opens the bytes of one of `layers`, not yet checked; another thread may read them.
   *
   * @throws {@link NotFoundError} `NO_FILE`
   * @throws {@link IntegrityError} `WRONG_TYPE` or `SIZE_MISMATCH`
   */
  openBlob(layer: LayerDescriptor): BlobRange;
  close(): void;
}

export const NO_ANNOTATIONS: ReadonlyMap<string, string> = new Map();

/** A layer of which nothing is known but its bytes. */
export function undeclaredLayer(label: string, size: number): LayerDescriptor {
  return {
    label,
    mediaType: undefined,
    compression: undefined,
    digest: undefined,
    size,
    diffId: undefined,
    annotations: NO_ANNOTATIONS,
  };
}
