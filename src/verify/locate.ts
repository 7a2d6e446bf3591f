/**
 * Finding a bootstrap and the bundles about it: by name or id in stores, or as a file with its
 * bundle beside it. Nothing found is trusted yet.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { IntegrityError, NotFoundError, TrustError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type BundleFile, isMarked, readBundles } from "../store/bundles.ts";
import type { PlatformDemand } from "../platform/platform-match.ts";
import type { Platform } from "../platform/platform.ts";
import { demandOf } from "../sys/host-platform.ts";
import type { Stores } from "../store/stores.ts";
import type { Keyring } from "../trust/keyring.ts";
import { type Listing, type Trust, policyOf } from "../trust/policy.ts";
import { ANY_NAME } from "../trust/verify-bundles.ts";
import type { FoundImage } from "../store/images.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import type { CheckedImages } from "./checked-images.ts";
import type { TrustState } from "./trust-state.ts";
import { isUserFile, readUserFile } from "../fs/user-file.ts";
import { type VerifiedImage, verifyImageFile } from "./verified-image.ts";

/** A bootstrap and the bundles about it. */
export interface LocatedImage {
  readonly bytes: Uint8Array;
  /** Bundle and envelope files. */
  readonly bundles: readonly Uint8Array[];
  /** Why further bundles of the stores could not be read. */
  readonly problems: readonly Error[];
  /** The name under which a store has it; undefined for a file, and for an id. */
  readonly name: string | undefined;
  /** The store's id for it, which the bytes need not match; undefined for a file. */
  readonly id: VerityDigest | undefined;
}

/** Where to look. */
export interface Places {
  readonly stores?: Stores | undefined;
  /** Bundle files to use in place of those found: paths, or their bytes. */
  readonly bundles?: readonly (string | Uint8Array)[] | undefined;
}

/** What to ask of a bootstrap that was found. */
export interface Demands {
  readonly trust: Trust;
  /** Where versions are remembered; without it, older images are not detected. */
  readonly state?: TrustState | undefined;
  /** The name that has to be signed; by default the name under which a store has the image. */
  readonly name?: string | undefined;
  /**
   * What it has to run on; by default this machine, for an image that is given by its name in a
   * store, and anything for a file, or an image given by its id.
   */
  readonly platform?: Platform | undefined;
  readonly now: Date;
  /** The memory of images that have passed the check of their format; by default there is none. */
  readonly checked?: CheckedImages | undefined;
}

/** The bundle of a bootstrap that is a file of its own. */
export function bundleBeside(image: string): string {
  return `${image}.bundle.json`;
}

/** The envelope with several signatures of a bootstrap that is a file of its own. */
export function envelopeBeside(image: string): string {
  return `${image}.dsse.json`;
}

/**
 * Finds a bootstrap: in the stores, else as a file. Bundles that claim to be by a key of `keyring`
 * come first, those for `name` before others; by default the name under which a store has it.
 *
 * @throws {@link NotFoundError} `NO_REF` or `NO_FILE`
 */
export function locateImage(
  target: string,
  places: Places,
  keyring?: Keyring,
  { name, platform }: Pick<Demands, "name" | "platform"> = {},
): LocatedImage {
  const { stores } = places;
  const problems: Error[] = [];
  const stored = (id: VerityDigest) =>
    stores === undefined ? [] : bundlesAbout(stores, id, keyring, name ?? target, problems);
  const named = places.bundles?.map((bundle) =>
    typeof bundle === "string" ? readBundleFile(bundle) : bundle,
  );
  const known = stores && find(stores, target, platform);
  if (stores !== undefined && known !== undefined) {
    const bundles = named ?? stored(known.id);
    return { bytes: stores.readImage(known.id), bundles, problems, ...known };
  }
  const hint = stores === undefined ? "an image in a store is found with --store" : undefined;
  const bytes = readUserFile(target, limits.imageBytes, `image ${target}`, hint);
  const beside = [bundleBeside(target), envelopeBeside(target)];
  const found = () => [
    ...beside.filter(isUserFile).map((path) => readBundleFile(path)),
    ...(stores ? stored(verityDigestOf(bytes, stores.first.algorithm)) : []),
  ];
  return { bytes, bundles: named ?? found(), problems, name: undefined, id: undefined };
}

/**
 * Finds a bootstrap and verifies it. A name under which a store has it has to be the signed one;
 * for a file, or an image given by its id, the name is `demands.name` or any. Step 12: when
 * everything else is right, the version is remembered, unless any name was accepted.
 *
 * @throws as {@link locateImage}, {@link verifyImageFile} and `TrustState.remember`
 */
export function openVerified(target: string, places: Places, demands: Demands): VerifiedImage {
  const { now, state, checked } = demands;
  const policy = policyOf(demands.trust);
  const located = locateImage(target, places, policy.keyring, demands);
  const name = demands.name ?? located.name ?? ANY_NAME;
  const platform = platformAsked(demands, located.name);
  const { bytes, bundles, problems } = located;
  const marksOf = state?.marksOf.bind(state);
  const verified = verifyImageFile({
    bytes,
    bundles,
    problems,
    trust: policy,
    name,
    platform,
    now,
    marksOf,
    checked,
  });
  const { sha256 } = verified.statement;
  if (checked?.has(sha256) === false) checked.add(sha256);
  state?.remember(verified, policy, now);
  return verified;
}

/**
 * What an image has to run on.
 *
 * @param stored the name under which a store has it
 */
export function platformAsked(
  { platform }: Pick<Demands, "platform">,
  stored: string | undefined,
): PlatformDemand | undefined {
  return platform === undefined && stored === undefined ? undefined : demandOf(platform);
}

/**
 * As {@link openVerified}, but when the policy has a listing, with the bundles that it lists for
 * the name.
 *
 * @throws {@link UsageError} when there is no name to look up, or when bundles are given as well
 * @throws {@link TrustError} `NOT_CURRENT` when the listing is about another image; as the listing
 * @throws as {@link openVerified}
 */
export async function openCurrent(
  target: string,
  places: Places,
  demands: Demands,
): Promise<VerifiedImage> {
  const listed = await fetchListed(target, places, demands);
  if (listed === undefined) return openVerified(target, places, demands);
  try {
    return openVerified(target, listed.places, listed.demands);
  } catch (cause) {
    throw notCurrent(cause, policyOf(demands.trust).listing!);
  }
}

/** Places and demands with the bundles of the listing in them; undefined without a listing. */
export async function fetchListed(
  target: string,
  places: Places,
  demands: Demands,
): Promise<{ places: Places; demands: Demands } | undefined> {
  const policy = policyOf(demands.trust);
  const { listing } = policy;
  if (listing === undefined) return undefined;
  if (places.bundles !== undefined) {
    throw new UsageError("USAGE", `bundle: ${listing.text} says which one counts`);
  }
  const { stores } = places;
  const name = demands.name ?? (stores && find(stores, target, demands.platform)?.name);
  if (name === undefined) {
    throw new UsageError("USAGE", `image ${target}: which name to ask ${listing.text} for?`, {
      hint: "give it with --name",
    });
  }
  const bundles = await listing.bundlesOf(name);
  return {
    places: { stores, bundles },
    demands: { ...demands, name, trust: policy.withListing(undefined) },
  };
}

/**
 * The error of an image that the current bundle is not about: `NOT_CURRENT` in place of
 * `WRONG_IMAGE`.
 */
export function notCurrent(cause: unknown, { text }: Listing): unknown {
  if (!(cause instanceof TrustError) || cause.code !== "WRONG_IMAGE") return cause;
  return new TrustError("NOT_CURRENT", `image: is not the one that ${text} lists`, {
    cause,
    hint: "it is older, newer, or another: get the image that is listed",
  });
}

/**
 * The bytes of a located bootstrap; those of a store only when they match the store's id for them.
 *
 * @throws {@link IntegrityError} `DIGEST_MISMATCH`
 */
export function requireIdentity({ bytes, id }: LocatedImage, actual: VerityDigest): Uint8Array {
  if (id === undefined || id === actual) return bytes;
  throw new IntegrityError("DIGEST_MISMATCH", `image ${id}: its bytes have the digest ${actual}`, {
    hint: "the store is damaged: build the image again",
  });
}

/**
 * A target in the stores; undefined when they do not have it, or it cannot be a name, but
 * it is a file.
 */
function find(
  stores: Stores,
  target: string,
  platform: Platform | undefined,
): FoundImage | undefined {
  try {
    return stores.find(target, platform);
  } catch (error) {
    const notThere = error instanceof NotFoundError || error instanceof UsageError;
    if (notThere && existsSync(target)) return undefined;
    throw error;
  }
}

/**
 * At most `limits.bundles`, those that name a trusted key first, and of these the ones for the name
 * that is asked for: filling a store with bundles must neither keep its readers busy nor crowd out
 * the good one.
 */
function bundlesAbout(
  stores: Stores,
  id: VerityDigest,
  keyring: Keyring | undefined,
  name: string,
  problems: Error[],
): Uint8Array[] {
  const rank = (file: BundleFile) =>
    (keyring?.get(file.keyId) === undefined ? 2 : 0) + (isMarked(file, name) ? 0 : 1);
  const found = stores.bundleFiles(id).sort((a, b) => rank(a) - rank(b));
  const bundles: Uint8Array[] = [];
  for (const { bytes } of readBundles(found, (error) => problems.push(error))) {
    bundles.push(bytes);
    if (bundles.length === limits.bundles) break;
  }
  return bundles;
}

function readBundleFile(path: string): Uint8Array {
  return readUserFile(path, limits.envelopeBytes, `bundle ${path}`);
}
