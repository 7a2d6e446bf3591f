/**
 * Putting a signed image beside the OCI image that it was built from, in a registry: bootstrap,
 * bundles, seek indexes and leaf hashes as one artifact that refers to that image. A second push
 * changes nothing.
 *
 * Spec: docs/registry-artifact.md, "Push".
 *
 * @module
 */
import {
  FormatError,
  NetworkError,
  NotFoundError,
  SealfsError,
  TrustError,
  UsageError,
} from "../errors.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type OciDigest, digestOf, parseDigest } from "../oci/digest.ts";
import { limits } from "../limits.ts";
import { IndexWalk } from "../oci/index-walk.ts";
import { parseDocument } from "../oci/manifest.ts";
import { OCI_MANIFEST, documentKind } from "../oci/media-types.ts";
import type { Platform } from "../platform/platform.ts";
import { imageManifest } from "../oci/source/registry-image.ts";
import { addToFallback, listsByItself } from "../oci/registry/referrers.ts";
import { type RegistryReference, registryName } from "../oci/registry-reference.ts";
import { optionsFor, pushPlace } from "../oci/registry/pull-places.ts";
import { readRegistriesConf } from "../oci/registry/registries-conf.ts";
import type { RegistryOptions } from "../oci/registry/session.ts";
import { type BlobUpload, putManifest, uploadBlob } from "../oci/registry/upload.ts";
import { Registry, type RegistryDocument } from "../oci/registry/registry.ts";
import { readSeekIndex } from "../store/seek-indexes.ts";
import type { Store } from "../store/store.ts";
import { openStoredImage } from "../store/stored-image.ts";
import { parseBundle } from "../trust/bundle.ts";
import type { Statement } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { readStatement } from "../sign/find-statement.ts";
import { type Claim, readClaim } from "../store/claims.ts";
import { packLeafHashes } from "../store/leaf-hashes.ts";
import { type Candidate, findCandidates } from "./pull-candidates.ts";
import { ARTIFACT_TYPE, EMPTY_CONFIG, formatArtifact } from "./registry-artifact.ts";

export interface PushRequest {
  readonly store: Store;
  /** A name or id in the store. */
  readonly image: string;
  /** The OCI image that it belongs to. */
  readonly reference: RegistryReference;
  readonly registry?: RegistryOptions;
  /** Which image of an index, where its statement does not say. */
  readonly platform?: Platform | undefined;
  /** Repositories of the same registry that may have its parts already. */
  readonly mountFrom?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface Pushed {
  readonly id: VerityDigest;
  /** The artifact's manifest, and that of the image it refers to. */
  readonly artifact: OciDigest;
  readonly subject: OciDigest;
  readonly bundles: number;
  readonly seekIndexes: number;
  /** What became of its parts. */
  readonly uploads: readonly BlobUpload[];
  /** What clients will see that the user may not expect. */
  readonly warnings: readonly string[];
  /** Whether the registry lists it by itself; else it is in the index under the fallback tag. */
  readonly listed: "registry" | "tag";
}

/** A bundle about the image. */
interface Signed {
  readonly bytes: Uint8Array;
  readonly keyId: string;
  readonly name: string;
  readonly statement: Statement;
}

/**
 * Pushes an image.
 *
 * @throws {@link TrustError} `NO_BUNDLE` for an image that nobody has signed
 * @throws {@link UsageError} when it was built from another image than `reference`
 * @throws {@link NotFoundError} `NO_REF`; {@link NetworkError}
 */
export async function pushImage(request: PushRequest): Promise<Pushed> {
  const { store, reference, mountFrom = [], signal } = request;
  const id = store.images.resolve(request.image);
  const stored = openStoredImage(store, id);
  const bootstrap = stored.bytes;
  const bundles = bundlesAbout(store, id);
  const seekIndexes = seekIndexesOf(store, id, bundles);
  const leafHashes = packLeafHashes(stored, store);
  const place = pushPlace(reference, readRegistriesConf());
  const registry = new Registry(place, optionsFor(place, request.registry ?? {}));
  try {
    const subject = await findSubject(registry, request, bundles);
    const warnings = await newerBeside(registry, subject.digest, bundles, signal);
    const content = { subject, id, bootstrap, bundles, seekIndexes, leafHashes };
    const { bytes, annotations } = formatArtifact(content);
    const parts = [
      EMPTY_CONFIG,
      bootstrap,
      ...bundles.map((bundle) => bundle.bytes),
      ...seekIndexes,
      ...(leafHashes.length > 0 ? [leafHashes] : []),
    ];
    const uploads: BlobUpload[] = [];
    for (const part of parts) {
      uploads.push(await uploadBlob(registry, part, { from: mountFrom, signal }));
    }
    const artifact = digestOf(bytes);
    const { knowsSubject } = await putManifest(registry, artifact, OCI_MANIFEST, bytes, { signal });
    const entry = { mediaType: OCI_MANIFEST, digest: artifact, size: bytes.length };
    const referrer = { ...entry, artifactType: ARTIFACT_TYPE, annotations };
    // Looked at as a client will: a list that is not shown is of no use.
    const isListed =
      knowsSubject && (await listsByItself(registry, subject.digest, referrer, signal));
    if (!isListed) await addToFallback(registry, subject.digest, referrer, signal);
    return {
      id,
      artifact,
      subject: subject.digest,
      bundles: bundles.length,
      seekIndexes: seekIndexes.length,
      uploads,
      warnings,
      listed: isListed ? "registry" : "tag",
    };
  } finally {
    await registry.close();
  }
}

/**
 * Pushes the images that a name has for all platforms, or for the one in the request; each beside the
 * manifest that it was built from. What was pushed before something failed stays there, and is found
 * there when it is pushed again.
 *
 * @throws as {@link pushImage}
 */
export async function pushImages(request: PushRequest): Promise<Pushed[]> {
  const { store, image, platform } = request;
  const refs = platform === undefined ? store.images.refsOf(image) : [];
  const ids = new Set(refs.flatMap((ref) => (ref.platform === undefined ? [] : [ref.id])));
  if (ids.size === 0) ids.add(store.images.resolve(image, platform));
  const pushed: Pushed[] = [];
  for (const id of ids) pushed.push(await pushImage({ ...request, image: id }));
  return pushed;
}

/** Sorted, so that the same image gives the same artifact. */
function bundlesAbout(store: Store, id: VerityDigest): Signed[] {
  const bundles = store.readBundles(id).flatMap(({ bytes, keyId }) => {
    try {
      const statement = readStatement(parseBundle(bytes).payload);
      return statement.verityDigest === id
        ? [{ bytes, keyId, name: statement.name, statement }]
        : [];
    } catch (error) {
      if (error instanceof SealfsError) return []; // what is no bundle helps nobody
      throw error;
    }
  });
  if (bundles.length > 0) return bundles;
  throw new TrustError("NO_BUNDLE", `image ${id}: nobody has signed it`, {
    hint: "sign it with sealfs sign first: nobody could use it",
  });
}

/**
 * Bundles that lie there already, claim to be by the same key about the same name, and have a
 * higher version, or the same for another image: clients take those, or refuse these. A claim may
 * be a stranger's, so that it is no reason not to push.
 */
async function newerBeside(
  registry: Registry,
  subject: OciDigest,
  bundles: readonly Signed[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const keyIds = new Set(bundles.map(({ keyId }) => keyId));
  const there = await candidatesBeside(registry, subject, keyIds, signal);
  const claims = there.flatMap((candidate) => candidate.bundles.flatMap(claimOf));
  return bundles.flatMap(({ keyId, name, statement: { version, verityDigest } }) => {
    const newest = claims
      .filter((claim) => claim.keyId === keyId && claim.name === name)
      .filter(
        (claim) =>
          claim.version > version || (claim.version === version && claim.id !== verityDigest),
      )
      .sort((a, b) => b.version - a.version)[0];
    if (newest === undefined) return [];
    const what =
      newest.version > version
        ? `clients take that one, and not version ${version}`
        : "clients refuse the second of two images with one version";
    return [
      `${name}: version ${newest.version} of image ${newest.id} is there already, by ${keyId}: ` +
        `${what} (sign again: sealfs sign --version ${newest.version + 1})`,
    ];
  });
}

async function candidatesBeside(
  registry: Registry,
  subject: OciDigest,
  keyIds: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<Candidate[]> {
  try {
    return await findCandidates(registry, subject, keyIds, signal);
  } catch (error) {
    // None, or none that can be read: the push itself tells what is wrong with the registry.
    if (error instanceof SealfsError && signal?.aborted !== true) return [];
    throw error;
  }
}

function claimOf(bytes: Uint8Array): Claim[] {
  try {
    return [readClaim({ keyId: parseBundle(bytes).signatures[0]?.keyId ?? "", bytes })];
  } catch (error) {
    if (error instanceof SealfsError) return [];
    throw error;
  }
}

/** Those that a statement speaks of; another one nobody would take. */
function seekIndexesOf(store: Store, id: VerityDigest, bundles: readonly Signed[]): Uint8Array[] {
  const wanted = new Map(
    bundles.flatMap(({ statement: { seekIndex } }) =>
      seekIndex === undefined ? [] : [[seekIndex.digest, seekIndex] as const],
    ),
  );
  return [...wanted.values()].flatMap((file) => {
    try {
      return [readSeekIndex(store, id, file)];
    } catch (error) {
      if (error instanceof NotFoundError) return [];
      throw error;
    }
  });
}

/** The manifest that the image was built from, which the reference has to lead to. */
async function findSubject(
  registry: Registry,
  { reference, platform, signal }: PushRequest,
  bundles: readonly Signed[],
): Promise<Pick<Descriptor, "mediaType" | "digest" | "size">> {
  const label = registryName(reference);
  const named = await namedDocument(registry, reference, signal);
  const sources = new Set(bundles.flatMap(({ statement }) => statement.source?.digest ?? []));
  const source = await sourceBelow(registry, named, sources, label, signal);
  if (sources.size > 0 && source === undefined) {
    const [first] = sources;
    throw new UsageError(
      "USAGE",
      `${label}: is ${named.digest}, the image was built from ${first}`,
      {
        hint: "push to the image that it was built from; skopeo copy --preserve-digests keeps digests",
      },
    );
  }
  const document =
    source === undefined || source === named.digest
      ? await imageManifest(registry, named, { platform }, label, signal)
      : await registry.manifest(parseDigest(source, label), signal);
  const mediaType = documentKind(document.mediaType) === "manifest" ? document.mediaType : "";
  if (mediaType === "")
    throw new FormatError("UNSUPPORTED", `${label}: leads to no image manifest`);
  return { mediaType, digest: document.digest, size: document.bytes.length };
}

async function namedDocument(
  registry: Registry,
  reference: RegistryReference,
  signal: AbortSignal | undefined,
): Promise<RegistryDocument> {
  try {
    return await registry.named(reference, signal);
  } catch (cause) {
    if (!(cause instanceof NetworkError) || cause.code !== "NOT_FOUND") throw cause;
    throw new NotFoundError("NO_REF", `${registryName(reference)}: no such image there`, {
      cause,
      hint: "an image is pushed beside the OCI image that it was built from: copy that there first",
    });
  }
}

/** The first of `sources` that a document is, or that stands below it, however deep. */
async function sourceBelow(
  registry: Registry,
  named: RegistryDocument,
  sources: ReadonlySet<string>,
  label: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (sources.has(named.digest)) return named.digest;
  if (sources.size === 0 || documentKind(named.mediaType) !== "index") return undefined;
  const document = parseDocument(named.bytes, named.mediaType, label);
  if (document.kind !== "index") return undefined;
  const read = async (descriptor: Descriptor) =>
    (await registry.document(descriptor, signal)).bytes;
  let documents = 0;
  const walk = new IndexWalk(label, read, () => {
    if (++documents <= limits.candidates) return;
    const message = `${label}: over ${limits.candidates} indexes to find one image among`;
    throw new FormatError("LIMIT", message);
  });
  for await (const { entry } of walk.entries(
    document.entries.map((each) => ({ entry: each, depth: 0 })),
  )) {
    if (entry.digest !== undefined && sources.has(entry.digest)) return entry.digest;
  }
  return undefined;
}
