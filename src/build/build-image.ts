/**
 * Building: a source becomes an image in a store, with all the objects that it refers to.
 *
 * The same source gives the same bytes everywhere; nothing is published before every digest, size
 * and diffID of the source has been found right.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import type { OciImage } from "../oci/image.ts";
import { type Platform, isUsualPlatform } from "../platform/platform.ts";
import type { RegistryOptions } from "../oci/registry/session.ts";
import type { SourceReference } from "../oci/reference.ts";
import type { Store } from "../store/store.ts";
import { type Durability, type NewBundle, Transaction } from "../store/transaction.ts";
import type { Directory } from "../tree/inode.ts";
import {
  type Layer,
  type MergeOptions,
  type ProfileName,
  type XattrMode,
  mergeLayers,
  profileNames,
} from "../tree/merge.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import { writeImage } from "../erofs/writer.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { readLayers } from "./layers.ts";
import { refuseHiddenXattrs } from "./hidden-xattrs.ts";
import { type BuildSource, openBuildSource } from "./build-source.ts";
import { treeOfDump, treeOfFolder } from "./source-tree.ts";
import { type PublishOptions, publishTree } from "./publish.ts";
import { seekIndexMaker } from "./seek-index.ts";

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
  /** Computes the image under every profile, for {@link BuildResult.profiles}. */
  readonly compareProfiles?: boolean;
  readonly durability?: Durability | undefined;
  /** Per cent of the store's file system that stay free; 3 by default. */
  readonly minFree?: number | undefined;
  /** Directories: objects share their blocks with the files, where the file system can do that. */
  readonly reflink?: boolean;
  /** Makes the bundles that are published together with the image. */
  readonly sign?: ((built: BuiltImage) => readonly NewBundle[]) | undefined;
  /** Called with the bytes of the source that have been read, and their total. */
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
    /** Of those and the image, how many the store did not have, and how many were wrong in it. */
    readonly new: number;
    readonly replaced: number;
  };
  /** Digests of the layers as declared, lowest first; empty for directories and dump files. */
  readonly layers: readonly (string | undefined)[];
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

/** A tree with what is known about its origin; not the layers, whose entries take memory. */
interface SourceTree {
  readonly tree: Directory;
  readonly image: OciImage | undefined;
  /** What the profiles that were not asked for make of the layers. */
  readonly others: readonly ProfileResult[];
  /** Makes the seek index of those objects that the image needs. */
  readonly seek?: PublishOptions["seek"];
}

/**
 * Builds the image of a source into the store.
 *
 * @throws {@link FormatError} when the source breaks its format, or the profile refuses it
 * @throws {@link IntegrityError} when the source is not what its digests say
 * @throws {@link NotFoundError} when there is no such source, or `NO_OBJECT` for a dump file
 * @throws {@link SystemError} when the store cannot be written; nothing is published then
 */
export async function buildImage(
  reference: SourceReference,
  options: BuildOptions,
): Promise<BuildResult> {
  const source = await openBuildSource(reference, options);
  try {
    refuseStrayOptions(source, options);
    const store = typeof options.store === "function" ? options.store() : options.store;
    return await buildInto(store, source, options);
  } finally {
    source.close();
  }
}

async function buildInto(
  store: Store,
  source: BuildSource,
  options: BuildOptions,
): Promise<BuildResult> {
  const { durability, minFree, name, sign } = options;
  const warnings = [...source.warnings];
  const transaction = Transaction.begin(store, { durability, minFree });
  try {
    const { tree, image, others, seek } = await readSource(source, transaction, options, warnings);
    if (sign !== undefined) refuseHiddenXattrs(tree);
    const profile = image && (options.profile ?? profileNames[0]);
    const origin = image && originOf(image);
    const platform = image && imagePlatform(image);
    const { algorithm } = store;
    const { id, bytes, objects, seekIndex, published } = publishTree(tree, transaction, {
      ...versionsOf(options),
      name,
      platform,
      seek,
      sign:
        sign &&
        ((made, index) =>
          sign({ bytes: made, algorithm, profile, source: origin, platform, seekIndex: index })),
    });
    return {
      digest: id,
      bytes,
      size: bytes.length,
      objects: {
        count: objects.size,
        bytes: [...objects.values()].reduce((sum, size) => sum + size, 0),
        new: published.added,
        replaced: published.replaced.length,
      },
      seekIndex,
      layers: image?.layers.map(({ digest }) => digest) ?? [],
      manifestDigest: image?.manifestDigest,
      platform,
      profile,
      profiles: others.length > 0 ? [{ profile: profile!, digest: id }, ...others] : [],
      warnings,
    };
  } finally {
    transaction.close();
  }
}

/** @throws {@link UsageError} for options that mean nothing for this kind of source */
function refuseStrayOptions({ kind }: BuildSource, options: BuildOptions): void {
  if (kind !== "layers" && (options.profile !== undefined || options.compareProfiles)) {
    throw new UsageError("USAGE", `profile: only layers have one, ${kind}: has none`);
  }
  if (kind !== "dir" && options.reflink) {
    throw new UsageError("USAGE", "reflink: only the files of a directory can share their blocks");
  }
}

async function readSource(
  source: BuildSource,
  transaction: Transaction,
  options: BuildOptions,
  warnings: string[],
): Promise<SourceTree> {
  if (source.kind === "dir") {
    const tree = treeOfFolder(source.path, transaction, options);
    return { tree, image: undefined, others: [] };
  }
  if (source.kind === "dump") {
    return { tree: treeOfDump(source, transaction, options), image: undefined, others: [] };
  }
  const { image } = source;
  const { strict = false, maxLayerBytes, onProgress, signal } = options;
  const warn = (message: string) => void warnings.push(message);
  const points = options.seekIndex !== false;
  const layers = await readLayers(image, transaction, {
    strict,
    maxLayerBytes,
    points,
    warn,
    onProgress,
    signal,
  });
  const tree = mergeLayers(layers, options.profile ?? profileNames[0], {
    ...mergeOptions(options),
    warn,
  });
  const { algorithm } = transaction.store;
  return {
    tree,
    image,
    others: options.compareProfiles ? compare(layers, algorithm, options) : [],
    seek: points ? seekIndexMaker(layers, tree, warn) : undefined,
  };
}

function mergeOptions({ strict = false, xattrs }: BuildOptions): MergeOptions {
  return xattrs === undefined ? { strict } : { strict, xattrs };
}

function versionsOf({ formatVersion = "auto" }: BuildOptions) {
  if (formatVersion === "auto") return {};
  return { minVersion: formatVersion, maxVersion: formatVersion };
}

function originOf({ manifestDigest, mediaType }: OciImage): BuiltImage["source"] {
  if (manifestDigest === undefined || mediaType === undefined) return undefined;
  return { mediaType, digest: manifestDigest };
}

/** Undefined where the configuration does not say it, or not in words that are used for it. */
function imagePlatform({ config }: OciImage): Platform | undefined {
  const platform = config?.platform;
  return platform !== undefined && isUsualPlatform(platform) ? platform : undefined;
}

/** The image's id under each profile but the chosen one. */
function compare(
  layers: readonly Layer[],
  algorithm: VerityAlgorithm,
  options: BuildOptions,
): ProfileResult[] {
  const chosen = options.profile ?? profileNames[0];
  const others = profileNames.filter((profile) => profile !== chosen);
  return others.map((profile) => {
    try {
      const tree = mergeLayers(layers, profile, { strict: options.strict ?? false });
      const bytes = writeImage(tree, versionsOf(options));
      return { profile, digest: verityDigestOf(bytes, algorithm) };
    } catch (error) {
      return { profile, refused: (error as Error).message };
    }
  });
}
