/**
 * What lies beside an image in a registry and claims to be its bootstrap: found, sorted and
 * bounded, not believed.
 *
 * Spec: docs/registry-artifact.md, "Pull".
 *
 * @module
 */
import { FormatError, IntegrityError, NetworkError, NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { OciDigest } from "../oci/digest.ts";
import { listReferrers } from "../oci/registry/referrers.ts";
import type { Registry } from "../oci/registry/registry.ts";
import type { Keyring } from "../trust/keyring.ts";
import {
  ARTIFACT_TYPE,
  type ParsedArtifact,
  claimedKeys,
  parseArtifact,
} from "./registry-artifact.ts";

/** Artifacts that are about the same bootstrap; signatures over one statement count together. */
export interface Candidate {
  readonly bootstrap: Descriptor;
  readonly bundles: Uint8Array[];
  readonly seekIndexes: Descriptor[];
  readonly leafHashes: Descriptor[];
}

/**
 * The candidates beside `subject`; what is broken is left out.
 *
 * @param keyring whose bundles are looked at first
 * @throws {@link NotFoundError} `NO_REF` when there is none; {@link NetworkError}
 */
export async function findCandidates(
  registry: Registry,
  subject: OciDigest,
  keyring: Pick<Keyring, "has">,
  signal: AbortSignal | undefined,
): Promise<Candidate[]> {
  const listed = await listReferrers(registry, subject, ARTIFACT_TYPE, signal);
  const isOurs = (keyId: string | undefined) => keyId !== undefined && keyring.has(keyId);
  const artifacts: ParsedArtifact[] = [];
  // Those that name a trusted key first: strangers must not crowd out the good ones. Then the
  // newest, which stand last in every list that is written by appending.
  const newest = listed.toReversed();
  const claiming = newest.filter((entry) => claimedKeys(entry).some(isOurs));
  const others = newest.filter((entry) => !claiming.includes(entry));
  for (const entry of [...claiming, ...others].slice(0, limits.candidates)) {
    const artifact = await refusingQuietly(async () => {
      const { bytes } = await registry.document(entry, signal);
      return parseArtifact(bytes, `${registry.label}: ${entry.digest}`);
    });
    if (artifact !== undefined) artifacts.push(artifact);
  }
  if (artifacts.length === 0) {
    throw new NotFoundError("NO_REF", `${registry.label}: no signed image beside ${subject}`, {
      hint: "its builder pushes it there with: sealfs push",
    });
  }
  const oursFirst = (a: { readonly keyId: string | undefined }, b: typeof a) =>
    Number(isOurs(b.keyId)) - Number(isOurs(a.keyId));
  const wanted = artifacts.flatMap((artifact) =>
    artifact.bundles
      .toSorted(oursFirst)
      .slice(0, limits.bundles)
      .map((bundle) => ({ artifact, bundle })),
  );
  const ranked = wanted.sort((a, b) => oursFirst(a.bundle, b.bundle));
  const candidates = new Map<string, Candidate>();
  for (const { artifact, bundle } of ranked.slice(0, limits.candidateBundles)) {
    const { bootstrap, seekIndexes, leafHashes } = artifact;
    const key = `${bootstrap.digest} ${bootstrap.size}`;
    const candidate = candidates.get(key) ?? noneOf(bootstrap);
    candidates.set(key, candidate);
    candidate.seekIndexes.push(...seekIndexes.slice(0, limits.bundles));
    candidate.leafHashes.push(...leafHashes.slice(0, 1));
    if (candidate.bundles.length === limits.bundles) continue;
    const bytes = await refusingQuietly(() => registry.blob(bundle, limits.envelopeBytes, signal));
    if (bytes !== undefined) candidate.bundles.push(bytes);
  }
  return [...candidates.values()];
}

function noneOf(bootstrap: Descriptor): Candidate {
  return { bootstrap, bundles: [], seekIndexes: [], leafHashes: [] };
}

/** Undefined for what is broken or gone: it is a stranger's, and says nothing about the others. */
export async function refusingQuietly<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof FormatError || error instanceof IntegrityError) return undefined;
    if (error instanceof NetworkError && error.code === "NOT_FOUND") return undefined;
    if (error instanceof NetworkError && error.code === "WRONG_SIZE") return undefined;
    throw error;
  }
}
