/**
 * The verifier's step 9: versions must not go back. For each name a client remembers the highest
 * version that it has fully verified, and which image had it; the memory itself is kept in
 * `verify/trust-state.ts`. A policy with a higher epoch starts over, so that a stolen key that
 * signed the highest possible version does not block the name for ever.
 *
 * Spec: docs/statement.md, "Rollback and equivocation"; TUF 1.0.34, sections 5.4.3 and 6.1
 * (rollback, recovery from fast-forward attacks).
 *
 * @module
 */
import { TrustError } from "../errors.ts";

/** The highest version that a client has seen of something. */
export interface Mark {
  /** The epoch of the policy at that time; 0 without a policy. */
  readonly epoch: number;
  readonly version: number;
  /** Lower-case hex of the SHA-256 of the image (or policy) that had the version. */
  readonly sha256: string;
}

/**
 * How a version compares with the remembered one: none was remembered, it is the same, or it is
 * higher.
 */
export type Progress = "first" | "same" | "newer";

/** What a client remembers of a name that a statement is compared with. */
export interface Marks {
  /** Of the statement's platform, or of statements without one. */
  readonly own: Mark | undefined;
  /**
   * For a statement about a platform, the mark of those without one; for one without, those of all
   * platforms: leaving the platform out, or adding it, does not lead back.
   */
  readonly others: readonly Mark[];
}

/**
 * {@link verifyVersion} for a statement about a name.
 *
 * @param wayBack what the signer does so that clients take the image again
 */
export function verifyProgress(
  next: Mark,
  { own, others }: Marks,
  what: string,
  wayBack?: string,
): Progress {
  const compare = (mark: Mark | undefined) =>
    mark !== undefined && isSameImage(next, mark)
      ? "same"
      : verifyVersion(next, mark, what, wayBack);
  const progress = compare(own);
  for (const other of others) compare(other);
  return progress === "first" && others.length > 0 ? "newer" : progress;
}

/** Whether it is the very image that is remembered, which leads nowhere back under an older version. */
function isSameImage(next: Mark, mark: Mark): boolean {
  return next.epoch === mark.epoch && next.version <= mark.version && next.sha256 === mark.sha256;
}

/**
 * Compares a version with the remembered one.
 *
 * @throws {@link TrustError} `ROLLBACK` for a lower version, or a policy of a lower epoch;
 *   `EQUIVOCATION` for another image with the same version
 */
export function verifyVersion(
  next: Mark,
  mark: Mark | undefined,
  what: string,
  wayBack = "sign the older image again: it gets a higher version",
): Progress {
  if (mark === undefined || next.epoch > mark.epoch) return "first";
  if (next.epoch < mark.epoch) {
    throw new TrustError(
      "ROLLBACK",
      `${what}: the policy's epoch is ${next.epoch}, but was ${mark.epoch} already`,
      { hint: "somebody offers an older policy, or the policy file was put back" },
    );
  }
  if (next.version < mark.version) {
    throw new TrustError(
      "ROLLBACK",
      `${what}: version ${next.version} is offered, but version ${mark.version} was there already`,
      { hint: `to go back on purpose, ${wayBack}` },
    );
  }
  if (next.version > mark.version) return "newer";
  if (next.sha256 === mark.sha256) return "same";
  throw new TrustError(
    "EQUIVOCATION",
    `${what}: version ${next.version} was another image before: ${mark.sha256}, now ${next.sha256}`,
    { hint: "the signer has signed two images with one version, or its key is stolen" },
  );
}
