/**
 * What a build takes, and what it gives.
 *
 * @module
 */
import type { Platform } from "../platform/platform.ts";
import type { RegistryOptions } from "../oci/registry/session.ts";
import type { Store } from "../store/store.ts";
import type { Durability, NewBundle } from "../store/transaction.ts";
import type { ProfileName, XattrMode } from "../tree/merge.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";

export interface BuildOptions {
  /**
   * The store, or a function that makes it, called once the source has been found and can be read.
   */
  readonly store: Store | (() => Store);
  /** A name for the image in the store. */
  readonly name?: string | undefined;
  /** Which image of an index. */
  readonly platform?: Platform | undefined;
  /** How to talk to registries. */
  readonly registry?: RegistryOptions | undefined;
  /** How layers become one tree; `oci-v1` by default. Other sources have no profile. */
  readonly profile?: ProfileName | undefined;
  readonly xattrs?: XattrMode | undefined;
  /** Refuses oddities that are otherwise accepted with a warning. */
  readonly strict?: boolean;
  /**
   * The most bytes of a layer, uncompressed and with its sparse files expanded, up to 256 GiB; by
   * default 4 GiB, or 1000 times the size of its blob.
   */
  readonly maxLayerBytes?: number | undefined;
  /** Format version of the image; `auto` by default, as mkcomposefs chooses. */
  readonly formatVersion?: 0 | 1 | "auto";
  /** Dump files: objects need not be in the store. */
  readonly allowMissing?: boolean;
  /** Whether to record where the objects lie in the layers; true by default. */
  readonly seekIndex?: boolean | undefined;
  /**
   * Whether layers that the store remembers are taken from memory, true by default; either way what is
   * read is remembered. Damaged objects of the store are found and replaced only by reading.
   */
  readonly cache?: boolean | undefined;
  /** Computes the image under every profile, for {@link BuildResult.profiles}. */
  readonly compareProfiles?: boolean;
  readonly durability?: Durability | undefined;
  /** Per cent of the store's file system that stay free; 3 by default. */
  readonly minFree?: number | undefined;
  /** Directories: objects share their blocks with the files, where the file system can do that. */
  readonly reflink?: boolean;
  /** Makes the bundles that are published together with the image. */
  readonly sign?: ((built: BuiltImage) => readonly NewBundle[]) | undefined;
  /** Called with the bytes of the source that have been read, and how many are to be. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a signer needs to know about an image. */
export interface BuiltImage {
  readonly bytes: Uint8Array;
  /** Which digests name objects and image. */
  readonly algorithm: VerityAlgorithm;
  readonly profile: ProfileName | undefined;
  readonly source: { readonly mediaType: string; readonly digest: string } | undefined;
  readonly platform: Platform | undefined;
  readonly seekIndex: SeekIndexFile | undefined;
}

export interface BuildResult {
  /** The verity digest of the image: its id. */
  readonly digest: VerityDigest;
  readonly bytes: Uint8Array;
  /** Bytes of the image. */
  readonly size: number;
  readonly objects: {
    /** Distinct objects that the image refers to, and their bytes together. */
    readonly count: number;
    readonly bytes: number;
    /**
     * Of those and the image, how many the store did not have, and how many were wrong in it; of all
     * images that were built together.
     */
    readonly new: number;
    readonly replaced: number;
  };
  /** Digests of the layers as declared, lowest first; empty for directories and dump files. */
  readonly layers: readonly (string | undefined)[];
  /** How many of them were not read: the store remembers them, or another of the images has them. */
  readonly layersRemembered: number;
  readonly manifestDigest: string | undefined;
  /** What it runs on, as its configuration says; undefined for anything, or when it does not say. */
  readonly platform: Platform | undefined;
  /** Undefined when there is none. */
  readonly seekIndex: SeekIndexFile | undefined;
  readonly profile: ProfileName | undefined;
  /** With `compareProfiles`: the id under each profile, or why it refuses. */
  readonly profiles: readonly ProfileResult[];
  readonly warnings: readonly string[];
}

export interface ProfileResult {
  readonly profile: ProfileName;
  readonly digest?: VerityDigest;
  readonly refused?: string;
}
