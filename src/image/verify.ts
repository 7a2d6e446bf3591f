/**
 * Verifying a bootstrap: a bundle's steps (see `trust/verify.ts`), then the bootstrap's own bytes.
 * This module alone makes a {@link VerifiedImage}, and mounting and fetching take nothing else.
 *
 * @module
 */
import { verifyImage } from "../erofs/check.ts";
import type { Image } from "../erofs/image.ts";
import { TrustError } from "../errors.ts";
import type { Keyring } from "../trust/keyring.ts";
import type { Statement } from "../trust/statement.ts";
import {
  ANY_NAME,
  type Expectation,
  type VerifiedStatement,
  verifyBundle,
} from "../trust/verify.ts";
import { type VerityDigest, algorithmOf } from "../verity/digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { sha256Of } from "./sha256.ts";

/** What to verify, against which keys. */
export interface VerificationRequest extends Expectation {
  /** The bootstrap, as it will be used: these bytes must not change afterwards. */
  readonly bytes: Uint8Array;
  /** Bundle or envelope files; one good one suffices. */
  readonly bundles: readonly Uint8Array[];
  /** Why further bundles could not be read, to be told when none of the others is good. */
  readonly problems?: readonly Error[];
  readonly keyring: Keyring;
}

type Make = (image: Image, verified: VerifiedStatement, nameChecked: boolean) => VerifiedImage;
let make: Make;

/** A bootstrap that a trusted key has signed, and that obeys every rule of the format. */
export class VerifiedImage {
  /** The image, ready to be read. */
  readonly image: Image;
  /** Whether a name was asked for; otherwise a person has to look at the statement's. */
  readonly nameChecked: boolean;
  // Private, so that no object of the same shape passes for one of these.
  readonly #verified: VerifiedStatement;

  private constructor(image: Image, verified: VerifiedStatement, nameChecked: boolean) {
    this.image = image;
    this.nameChecked = nameChecked;
    this.#verified = verified;
  }

  static {
    make = (...parts) => new VerifiedImage(...parts);
  }

  /** What the signer said. */
  get statement(): Statement {
    return this.#verified.statement;
  }

  /** The trusted keys that said it, each once; at least one. */
  get keyIds(): readonly [string, ...string[]] {
    return this.#verified.keyIds;
  }

  /** The first of them. */
  get keyId(): string {
    return this.keyIds[0];
  }

  /** Key hints of signatures beside the good ones, by strangers or broken. */
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
 * Verifies a bootstrap. With several bundles the first good one counts.
 *
 * @throws {@link TrustError} `NO_BUNDLE` without bundles; the code of the step that failed with one;
 *   with several, that code if all failed alike and otherwise `NO_GOOD_BUNDLE`, the message giving
 *   each one's reason
 * @throws {@link FormatError} when the bootstrap is the signed one and breaks a rule of its format
 */
export function verifyImageFile(request: VerificationRequest): VerifiedImage {
  const { bytes, bundles, keyring, problems = [] } = request;
  if (bundles.length === 0 && problems.length === 0) {
    throw new TrustError("NO_BUNDLE", "image: no bundle, so nobody vouches for it", {
      hint: "sign it with sealfs sign, or name the bundle with --bundle",
    });
  }
  const refusals: TrustError[] = [];
  for (const [i, bundle] of bundles.entries()) {
    try {
      // Steps 1 to 8: the statement.
      const what = bundles.length > 1 ? `bundle ${i + 1}` : "bundle";
      const verified = verifyBundle(bundle, keyring, request, what);
      // Step 10: it is about these bytes.
      verifyIdentity(bytes, verified.statement);
      // Step 11: they obey every rule; what is signed and broken is no other bundle's to mend.
      return make(verifyImage(bytes), verified, request.name !== ANY_NAME);
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      refusals.push(error);
    }
  }
  throw allRefused(refusals, problems);
}

/** Step 10, in its order: size, SHA-256, fs-verity. All have to be right. */
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

/** Reasons that a message gives; all of them are in its cause. */
const SHOWN_REASONS = 8;

function allRefused(refusals: readonly TrustError[], problems: readonly Error[]): TrustError {
  const [first] = refusals;
  if (first !== undefined && refusals.length === 1 && problems.length === 0) return first;
  const same = first !== undefined && refusals.every((error) => error.code === first.code);
  const reasons = [
    ...refusals.map(({ message }, i) => {
      const label = `bundle ${i + 1}:`;
      return message.startsWith(label) ? message : `${label} ${message}`;
    }),
    ...problems.map(({ message }) => `not readable: ${message}`),
  ];
  const count = reasons.length;
  if (count > SHOWN_REASONS)
    reasons.splice(SHOWN_REASONS, count, `and ${count - SHOWN_REASONS} more`);
  return new TrustError(
    same ? first.code : "NO_GOOD_BUNDLE",
    `image: none of ${count} bundles is good: ${reasons.join("; ")}`,
    { cause: new AggregateError([...refusals, ...problems]) },
  );
}
