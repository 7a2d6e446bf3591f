/**
 * Verifying a bootstrap: a bundle's steps (see `trust/verify-bundles.ts`), then the bootstrap's own
 * bytes. This module alone makes a {@link VerifiedImage}, and mounting and fetching take nothing
 * else.
 *
 * Spec: docs/statement.md, "The verifier's steps".
 *
 * @module
 */
import { verifyImage } from "../erofs/check.ts";
import { Image } from "../erofs/image.ts";
import { TrustError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { type Mark, type Marks, type Progress, verifyProgress } from "../trust/high-water.ts";
import { type Trust, type TrustPolicy, policyOf } from "../trust/policy.ts";
import { allRefused } from "../trust/refusals.ts";
import type { Statement } from "../trust/statement.ts";
import {
  ANY_NAME,
  type Expectation,
  type VerifiedStatement,
  verifyBundles,
} from "../trust/verify-bundles.ts";
import { type VerityDigest, algorithmOf, shortDigest } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import type { CheckedImages } from "./checked-images.ts";
import { sha256Of } from "../sys/sha256.ts";

/** What to verify, against which keys. */
export interface VerificationRequest extends Expectation {
  /** The bootstrap, as it will be used: these bytes must not change afterwards. */
  readonly bytes: Uint8Array;
  /** Bundle or envelope files; signatures over the same statement count together. */
  readonly bundles: readonly Uint8Array[];
  /** Why further bundles could not be read, for the message when none of the others is good. */
  readonly problems?: readonly Error[];
  readonly trust: Trust;
  /**
   * The remembered marks of a name, for a statement about that platform; called only when a name
   * was asked for.
   */
  readonly marksOf?:
    ((name: string, policy: TrustPolicy, platform: Platform | undefined) => Marks) | undefined;
  /** The memory of images that have passed the check of their format; by default there is none. */
  readonly checked?: Pick<CheckedImages, "has"> | undefined;
}

type Make = (
  image: Image,
  verified: VerifiedStatement,
  nameChecked: boolean,
  progress: Progress | undefined,
) => VerifiedImage;
let make: Make;

/** A bootstrap that enough trusted keys have signed, and that obeys every rule of the format. */
export class VerifiedImage {
  /** The image, ready to be read. */
  readonly image: Image;
  /** Whether a name was asked for; otherwise the user has to check the statement's. */
  readonly nameChecked: boolean;
  /** How the version compares with the remembered one; undefined when none was asked for. */
  readonly progress: Progress | undefined;
  // Private, so that no object of the same shape passes for one of these.
  readonly #verified: VerifiedStatement;

  private constructor(...[image, verified, nameChecked, progress]: Parameters<Make>) {
    this.image = image;
    this.nameChecked = nameChecked;
    this.progress = progress;
    this.#verified = verified;
  }

  static {
    make = (...parts) => new VerifiedImage(...parts);
  }

  /** The signed statement. */
  get statement(): Statement {
    return this.#verified.statement;
  }

  /** The trusted keys that signed it, each once; at least one. */
  get keyIds(): readonly [string, ...string[]] {
    return this.#verified.keyIds;
  }

  /** The first of them. */
  get keyId(): string {
    return this.keyIds[0];
  }

  /** How many keys the name needs, and the policy's pattern that demands it, if any. */
  get threshold(): VerifiedStatement["threshold"] {
    return this.#verified.threshold;
  }

  /** Key hints of the signatures that do not count: by unknown keys, invalid, or not allowed. */
  get unverified(): readonly string[] {
    return this.#verified.unverified;
  }

  /** The bootstrap's bytes. */
  get bytes(): Uint8Array {
    return this.image.bytes;
  }

  /** The bootstrap's verity digest: its id in a store. */
  get digest(): VerityDigest {
    return this.statement.verityDigest;
  }
}

/**
 * Verifies a bootstrap. Of several good statements the one with the highest version counts.
 *
 * @throws {@link TrustError} `NO_BUNDLE` without bundles; the code of the step that failed with
 *   one; with several, as {@link allRefused}; `NOT_LISTED` when only the bundles of a listing count and `trust`
 *   still has the listing
 * @throws {@link FormatError} when the bootstrap is the signed one and breaks a rule of its format
 */
export function verifyImageFile(request: VerificationRequest): VerifiedImage {
  const { bytes, bundles, problems = [] } = request;
  const policy = policyOf(request.trust);
  // A caller that has fetched the listing's bundles passes the policy without the listing.
  if (policy.listing !== undefined) {
    throw new TrustError("NOT_LISTED", `image: its bundles are not from ${policy.listing.text}`);
  }
  if (bundles.length === 0 && problems.length === 0) {
    throw new TrustError("NO_BUNDLE", "image: no bundle, so nobody vouches for it", {
      hint: "sign it with sealfs sign, or name the bundle with --bundle",
    });
  }
  // Steps 1 to 8: the statements.
  const { accepted, refused } = verifyBundles(bundles, policy, request);
  const refusals = [...refused];
  for (const verified of accepted) {
    try {
      // Step 9: the version does not go back.
      const progress = compareWithMemory(verified.statement, policy, request);
      // Step 10: the statement is about these bytes.
      verifyIdentity(bytes, verified.statement);
      // Step 11: they obey every rule, or are known to. No other bundle can repair a signed image
      // that is broken.
      const isChecked = request.checked?.has(verified.statement.sha256) === true;
      const image = isChecked ? Image.open(bytes) : verifyImage(bytes);
      return make(image, verified, request.name !== ANY_NAME, progress);
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      refusals.push({ label: verified.label, error, about: verified.statement.name });
    }
  }
  const name = request.name === ANY_NAME ? undefined : request.name;
  throw allRefused(refusals, problems, { what: "image", name });
}

/** Undefined without a memory, or without a name whose versions could be compared. */
function compareWithMemory(
  statement: Statement,
  policy: TrustPolicy,
  { name, marksOf }: VerificationRequest,
): Progress | undefined {
  if (marksOf === undefined || name === ANY_NAME) return undefined;
  const marks = marksOf(name, policy, statement.platform);
  const wayBack =
    `the signer runs: sealfs rollback ${name} ${shortDigest(statement.verityDigest)} ` +
    "--store STORE --key KEY";
  return verifyProgress(markFor(statement, policy), marks, name, wayBack);
}

/** The mark to remember for a statement. */
export function markFor(
  { version, sha256 }: Pick<Statement, "version" | "sha256">,
  policy: TrustPolicy,
): Mark {
  return { epoch: policy.content?.epoch ?? 0, version, sha256 };
}

/** Step 10, in its order: size, SHA-256, fs-verity. All three have to match. */
function verifyIdentity(bytes: Uint8Array, statement: Statement): void {
  const { size, sha256, verityDigest } = statement;
  requireEqual("size", String(size), String(bytes.length));
  requireEqual("sha256", sha256, sha256Of(bytes));
  const digest = verityDigestOf(bytes, algorithmOf(verityDigest));
  requireEqual("fs-verity digest", verityDigest, digest);
}

function requireEqual(what: string, signed: string, got: string): void {
  if (signed === got) return;
  throw new TrustError("WRONG_IMAGE", `image: ${what}: signed was ${signed}, got ${got}`, {
    hint: "the bundle is about another image, or the image was changed after it was signed",
  });
}
