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
import type { SourceReference } from "../oci/reference.ts";
import type { Store } from "../store/store.ts";
import type { Published } from "../store/staged-objects.ts";
import { Transaction } from "../store/transaction.ts";
import type { Directory } from "../tree/inode.ts";
import { type Layer, mergeLayers, profileNames } from "../tree/merge.ts";
import type { VerityAlgorithm } from "../verity/verity-digest.ts";
import { writeImage } from "../erofs/writer.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { KnownLayers } from "./known-layers.ts";
import { refuseHiddenXattrs } from "./hidden-xattrs.ts";
import type { BuildOptions, BuildResult, BuiltImage, ProfileResult } from "./build-options.ts";
import { type BuildSource, openBuildSource } from "./build-source.ts";
import { treeOfLayers } from "./layered-tree.ts";
import { treeOfDump, treeOfFolder } from "./source-tree.ts";
import { type ComposedImage, composeImage, publishImages } from "./publish.ts";
import { type SeekIndexMaker, seekIndexMaker } from "./seek-index.ts";

/** A tree with what is known about its origin; not the layers, whose entries take memory. */
interface SourceTree {
  readonly tree: Directory;
  readonly image: OciImage | undefined;
  /** What the profiles that were not asked for make of the layers. */
  readonly others: readonly ProfileResult[];
  readonly warnings: readonly string[];
  /** Layers that were not read. */
  readonly remembered: number;
  /** Makes the seek index of those objects that the image needs. */
  readonly seek?: SeekIndexMaker | undefined;
}

const NO_LAYERS = { image: undefined, others: [], warnings: [], remembered: 0 };

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
  const [result] = await buildImages(reference, [options.platform], options);
  return result!;
}

/**
 * Builds the images for several platforms: all become visible together, or none. Layers that they
 * share are read once.
 *
 * @param platforms each as `platform` of {@link BuildOptions}
 * @throws as {@link buildImage}
 */
export async function buildImages(
  reference: SourceReference,
  platforms: readonly (Platform | undefined)[],
  options: Omit<BuildOptions, "platform">,
): Promise<BuildResult[]> {
  const sources: BuildSource[] = [];
  try {
    for (const platform of platforms) {
      const source = await openBuildSource(reference, { ...options, platform });
      sources.push(source);
      refuseStrayOptions(source, options);
    }
    const store = typeof options.store === "function" ? options.store() : options.store;
    return await buildInto(store, sources, options);
  } finally {
    for (const source of sources) source.close();
  }
}

async function buildInto(
  store: Store,
  sources: readonly BuildSource[],
  options: BuildOptions,
): Promise<BuildResult[]> {
  const { durability, minFree } = options;
  const transaction = Transaction.begin(store, { durability, minFree });
  try {
    const known = new KnownLayers(transaction, options.cache ?? true, sources.length > 1);
    const composed: Composed[] = [];
    for (const source of sources) {
      composed.push(await composeSource(source, transaction, known, options));
    }
    const images = composed.map(({ image }) => image);
    const published = publishImages(transaction, images, known.finish());
    return composed.map((each) => resultOf(each, published));
  } finally {
    transaction.close();
  }
}

/** An image that waits to be published, and what there is to tell of it. */
interface Composed {
  readonly image: ComposedImage;
  readonly facts: Pick<
    BuildResult,
    | "layers"
    | "layersRemembered"
    | "manifestDigest"
    | "platform"
    | "profile"
    | "profiles"
    | "warnings"
  >;
}

async function composeSource(
  source: BuildSource,
  transaction: Transaction,
  known: KnownLayers,
  options: BuildOptions,
): Promise<Composed> {
  const { name, sign } = options;
  const read = await readSource(source, transaction, known, options);
  const { tree, image, others, seek } = read;
  const warnings = [...source.warnings, ...read.warnings];
  if (sign !== undefined) refuseHiddenXattrs(tree);
  const profile = image && (options.profile ?? profileNames[0]);
  const platform = image && imagePlatform(image);
  const built = { profile, platform, source: image && originOf(image) };
  const { algorithm } = transaction.store;
  const composed = composeImage(tree, transaction, {
    ...versionsOf(options),
    name,
    platform,
    seek: seek && ((objects) => seek(objects, (message) => void warnings.push(message))),
    sign: sign && ((bytes, seekIndex) => sign({ bytes, algorithm, ...built, seekIndex })),
  });
  if (image !== undefined) known.use(composed.id, image.layers);
  return {
    image: composed,
    facts: {
      layers: image?.layers.map(({ digest }) => digest) ?? [],
      layersRemembered: read.remembered,
      manifestDigest: image?.manifestDigest,
      platform,
      profile,
      profiles: others.length > 0 ? [{ profile: profile!, digest: composed.id }, ...others] : [],
      warnings,
    },
  };
}

function resultOf({ image, facts }: Composed, published: Published): BuildResult {
  const { id, bytes, objects, seekIndex } = image;
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
    ...facts,
  };
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
  known: KnownLayers,
  options: BuildOptions,
): Promise<SourceTree> {
  if (source.kind === "dir") {
    return { ...NO_LAYERS, tree: treeOfFolder(source.path, transaction, options) };
  }
  if (source.kind === "dump") {
    return { ...NO_LAYERS, tree: treeOfDump(source, transaction, options) };
  }
  const { image } = source;
  const points = options.seekIndex !== false;
  const { layers, tree, warnings } = await treeOfLayers(image, transaction, known, {
    ...options,
    points,
  });
  const { algorithm } = transaction.store;
  return {
    tree,
    image,
    warnings,
    remembered: layers.filter(({ isRemembered }) => isRemembered).length,
    others: options.compareProfiles ? compare(layers, algorithm, options) : [],
    seek: points ? seekIndexMaker(layers, tree) : undefined,
  };
}

function versionsOf({ formatVersion = "auto" }: BuildOptions) {
  if (formatVersion === "auto") return {};
  return { minVersion: formatVersion, maxVersion: formatVersion };
}

function originOf({ manifestDigest, mediaType }: OciImage): BuiltImage["source"] {
  if (manifestDigest === undefined || mediaType === undefined) return undefined;
  return { mediaType, digest: manifestDigest };
}

/** Undefined where the source does not say it, or not in words that are used for it. */
function imagePlatform({ platform }: OciImage): Platform | undefined {
  return isUsualPlatform(platform) ? platform : undefined;
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
