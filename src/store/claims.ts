/**
 * What a bundle in a store claims, unverified: enough to list it and to tell which is newer, never
 * a reason to trust an image.
 *
 * @module
 */
import { SealfsError } from "../errors.ts";
import { parseBundle } from "../trust/bundle.ts";
import { type Statement, parseStatement } from "../trust/statement.ts";
import type { StoredBundle } from "./bundles.ts";

/** A bundle that could be read. */
export interface Claim extends Pick<
  Statement,
  "name" | "platform" | "version" | "created" | "expires" | "seekIndex"
> {
  readonly keyId: string;
  /** The image that it is about. */
  readonly id: Statement["verityDigest"];
}

/**
 * Reads a bundle without asking whether its signature is good.
 *
 * @throws {@link TrustError} when it is not a bundle about one image
 */
export function readClaim({ keyId, bytes }: Pick<StoredBundle, "keyId" | "bytes">): Claim {
  const { subjects, predicate } = parseStatement(parseBundle(bytes).payload);
  const { name, verityDigest: id } = subjects[0]!;
  const { platform, version, created, expires, seekIndex } = predicate;
  return { keyId, id, name, platform, version, created, expires, seekIndex };
}

/** The claims of the bundles that can be read; the others are skipped. */
export function claimsOf(bundles: Iterable<StoredBundle>): Claim[] {
  const claims: Claim[] = [];
  for (const bundle of bundles) {
    try {
      claims.push(readClaim(bundle));
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
    }
  }
  return claims;
}
