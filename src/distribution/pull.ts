/**
 * Finding a signed image beside an OCI image in a registry. Anyone who may write to the repository
 * may put anything there, so that every candidate is a stranger until it is verified, exactly as
 * `sealfs verify` does. Statements are looked at before any bootstrap is downloaded, and only one
 * that a good statement is about.
 *
 * Spec: docs/registry-artifact.md, "Pull".
 *
 * @module
 */
import { FormatError, TrustError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { defined } from "../optional.ts";
import type { OciDigest } from "../oci/digest.ts";
import type { Platform } from "../platform/platform.ts";
import { demandOf } from "../sys/host-platform.ts";
import { imageManifest } from "../oci/source/registry-image.ts";
import { nameGivenBy } from "../oci/image-name.ts";
import { type RegistryReference, registryName } from "../oci/registry-reference.ts";
import { withPullPlaces } from "../oci/registry/pull-places.ts";
import type { RegistryOptions } from "../oci/registry/session.ts";
import type { Registry } from "../oci/registry/registry.ts";
import { verifySeekIndex } from "../store/seek-indexes.ts";
import { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { type Durability, type NewBundle, Transaction } from "../store/transaction.ts";
import { readClaim } from "../store/claims.ts";
import { parseBundle } from "../trust/bundle.ts";
import { policyOf } from "../trust/policy.ts";
import { type Refusal, allRefused } from "../trust/refusals.ts";
import { verifyBundles } from "../trust/verify-bundles.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { keepLeafHashes, leafHashesSize } from "../store/leaf-hashes.ts";
import { type Candidate, findCandidates, refusingQuietly } from "./pull-candidates.ts";
import { notCurrent } from "../verify/locate.ts";
import { missingObjects } from "../store/missing-objects.ts";
import type { OpenedTrust } from "../policy/open-trust.ts";
import { type VerifiedImage, verifyImageFile } from "../verify/verified-image.ts";

export interface PullRequest {
  readonly reference: RegistryReference;
  readonly registry?: RegistryOptions;
  readonly platform?: Platform | undefined;
  readonly trust: Pick<OpenedTrust, "trust" | "state">;
  /** The name that must be signed; by default that of the reference. */
  readonly name?: string | undefined;
  /** The store's directory, made when it does not exist; further ones may have objects. */
  readonly stores: readonly [string, ...string[]];
  /** As `foreignOwner` of {@link Store.open}. */
  readonly foreignStore?: boolean | undefined;
  readonly now: Date;
  readonly durability?: Durability;
  readonly signal?: AbortSignal | undefined;
}

export interface Pulled {
  readonly verified: VerifiedImage;
  readonly name: string;
  /** The manifest in the registry that it stands beside. */
  readonly subject: OciDigest;
  /** Whether it was built from that very manifest, as far as its signer says. */
  readonly fitsSubject: boolean;
  readonly hasSeekIndex: boolean;
  /** What no store has yet. */
  readonly missing: ReadonlyMap<VerityDigest, number>;
}

/**
 * Pulls the image beside `reference`: of several that may be trusted the one with the highest
 * version.
 *
 * @throws {@link NotFoundError} `NO_REF` when there is none
 * @throws {@link TrustError} when nobody who is trusted vouches for any of them
 * @throws {@link NetworkError}
 */
export async function pullImage(request: PullRequest): Promise<Pulled> {
  const { reference, platform, signal } = request;
  const name = nameOf(request);
  const label = registryName(reference);
  const { registry: options = {} } = request;
  return withPullPlaces(
    reference,
    options,
    async (registry) => {
      const named = await registry.named(reference, signal);
      const { digest: subject } = await imageManifest(registry, named, { platform }, label, signal);
      const pulled = await pullFrom(registry, subject, name, request);
      await registry.close();
      return pulled;
    },
    signal,
  );
}

async function pullFrom(
  registry: Registry,
  subject: OciDigest,
  name: string,
  request: PullRequest,
): Promise<Pulled> {
  const { signal } = request;
  const { keyring } = policyOf(request.trust.trust);
  const candidates = await findCandidates(registry, subject, keyring, signal);
  const { verified, candidate } = await firstGood(registry, candidates, name, request);
  const seekIndex = await fetchSeekIndex(registry, candidate, verified, signal);
  const leafHashes = await fetchLeafHashes(registry, candidate, verified, signal);
  const stores = keep(request, name, verified, candidate, seekIndex);
  if (leafHashes !== undefined) keepLeafHashes(verified.image, leafHashes, stores.first);
  const { source } = verified.statement;
  return {
    verified,
    name,
    subject,
    fitsSubject: source === undefined || source.digest === subject,
    hasSeekIndex: seekIndex !== undefined,
    missing: missingObjects(verified.image, stores),
  };
}

function nameOf({ name, reference }: PullRequest): string {
  if (name !== undefined) return name;
  const said = nameGivenBy(reference);
  if (said !== undefined) return said;
  throw new UsageError("USAGE", `${registryName(reference)}: which name must be signed?`, {
    hint: "say it with --name, or give the tag as well",
  });
}

/** The candidate with the highest version among those that hold, fully verified. */
async function firstGood(
  registry: Registry,
  candidates: readonly Candidate[],
  name: string,
  request: PullRequest,
): Promise<{ verified: VerifiedImage; candidate: Candidate }> {
  const { now, signal, trust: opened, platform: asked } = request;
  const platform = demandOf(asked);
  const policy = policyOf(opened.trust);
  const { listing } = policy;
  const listed = listing === undefined ? undefined : await listing.bundlesOf(name);
  const trust = policy.withListing(undefined);
  const refusals: Refusal[] = [];
  const promising: { candidate: Candidate; bundles: readonly Uint8Array[]; version: number }[] = [];
  for (const candidate of candidates) {
    const bundles = listed ?? candidate.bundles;
    const { accepted, refused } = verifyBundles(bundles, trust, { name, platform, now });
    refusals.push(...refused);
    const about = accepted.filter(({ statement: { sha256, size } }) => {
      const { bootstrap } = candidate;
      return bootstrap.digest === `sha256:${sha256}` && bootstrap.size === size;
    });
    if (about[0] !== undefined) {
      promising.push({ candidate, bundles, version: about[0].statement.version });
    } else if (accepted.length > 0) refusals.push(aboutAnother(candidate, name));
  }
  for (const { candidate, bundles } of promising.sort((a, b) => b.version - a.version)) {
    try {
      const bytes = await registry.blob(candidate.bootstrap, limits.imageBytes, signal);
      const marksOf = opened.state?.marksOf.bind(opened.state);
      const expected = { name, platform, now };
      const verified = verifyImageFile({ bytes, bundles, trust, ...expected, marksOf });
      return { verified, candidate };
    } catch (error) {
      // What is signed and broken is not made good by another bundle.
      if (!(error instanceof TrustError)) throw error;
      refusals.push({ label: candidate.bootstrap.digest, error, about: name });
    }
  }
  const error =
    refusals.length === 0
      ? new TrustError("NO_BUNDLE", `${name}: nobody has signed what is in the registry`)
      : allRefused(refusals, [], { what: name, where: " in the registry", name });
  throw listing === undefined ? error : notCurrent(error, listing);
}

function aboutAnother({ bootstrap }: Candidate, about: string): Refusal {
  const message = `bootstrap ${bootstrap.digest}: its bundles are about another one`;
  return { label: bootstrap.digest, about, error: new TrustError("WRONG_IMAGE", message) };
}

/** The seek index that the statement is about; without it layers are only read as a whole. */
async function fetchSeekIndex(
  registry: Registry,
  { seekIndexes }: Candidate,
  { statement: { seekIndex } }: VerifiedImage,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const descriptor = seekIndexes.find(
    ({ digest, size }) => digest === seekIndex?.digest && size === seekIndex.size,
  );
  if (seekIndex === undefined || descriptor === undefined) return undefined;
  const bytes = await refusingQuietly(() =>
    registry.blob(descriptor, limits.seekIndexBytes, signal),
  );
  if (bytes !== undefined) verifySeekIndex(bytes, seekIndex, registry.label);
  return bytes;
}

/** For single blocks of large files. Whose they are does not matter: right ones show themselves. */
async function fetchLeafHashes(
  registry: Registry,
  { leafHashes }: Candidate,
  { image }: VerifiedImage,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const expected = leafHashesSize(image);
  const descriptor = leafHashes.find(({ size }) => size === expected);
  if (expected === 0 || expected > limits.leafBytes || descriptor === undefined) return undefined;
  return refusingQuietly(() => registry.blob(descriptor, limits.leafBytes, signal));
}

/** Publishes what was verified, and then remembers its version. */
function keep(
  { stores, trust: opened, now, durability, foreignStore }: PullRequest,
  name: string,
  verified: VerifiedImage,
  { bundles }: Candidate,
  seekIndex: Uint8Array | undefined,
): Stores {
  const [first] = stores;
  const store = Store.create(first, {
    algorithm: algorithmOf(verified.digest),
    foreignOwner: foreignStore,
  });
  const transaction = Transaction.begin(store, defined({ durability }));
  try {
    transaction.put(verified.digest, verified.bytes);
    transaction.publish({
      image: verified.digest,
      name,
      platform: verified.statement.platform,
      bundles: bundles.flatMap((bytes) => newBundle(bytes, verified)),
      seekIndexes: seekIndex === undefined ? [] : [seekIndex],
    });
  } finally {
    transaction.close();
  }
  opened.state?.remember(verified, policyOf(opened.trust), now);
  return new Stores([store, ...stores.slice(1).map((path) => Store.open(path))]);
}

/** None for what is about another image, or cannot be read. */
function newBundle(bytes: Uint8Array, { digest }: VerifiedImage): NewBundle[] {
  try {
    const keyId = parseBundle(bytes).signatures[0]?.keyId || "unnamed";
    const { id, name, platform } = readClaim({ keyId, bytes });
    return id === digest ? [{ keyId, bytes, name, platform }] : [];
  } catch (error) {
    if (error instanceof TrustError || error instanceof FormatError) return [];
    throw error;
  }
}
