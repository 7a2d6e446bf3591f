/**
 * Finds the statement about an image that further signers sign too. It is not trusted: it has to be
 * about the image and the name that the signer means, and its bytes are signed unchanged, so that
 * the signatures count together.
 *
 * @module
 */
import { toByteString } from "../bytes/bytestring.ts";
import { SealfsError, TrustError, UsageError } from "../errors.ts";
import { parseBundle } from "../trust/bundle.ts";
import { type EnvelopeSignature, preAuthEncoding } from "../trust/dsse.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { STATEMENT_PAYLOAD_TYPE, type Statement, parseStatement } from "../trust/statement.ts";
import { formatTime } from "../trust/time.ts";
import type { LocatedImage } from "../verify/locate.ts";
import type { ImageFacts } from "./sign-image.ts";

/** A statement, its bytes, and the signatures over them, which are not verified. */
export interface FoundStatement {
  readonly statement: Statement;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/**
 * The statement with the highest version about this image, and this name where one is given.
 *
 * @throws {@link TrustError} `NO_BUNDLE` when there is none; `EXPIRED`
 * @throws {@link UsageError} when several differ and have the same version
 */
export function findStatement(
  located: LocatedImage,
  facts: ImageFacts,
  name: string | undefined,
  now: Date,
): FoundStatement {
  const found = new Map<string, FoundStatement>();
  const reasons: string[] = [];
  for (const file of located.bundles) {
    try {
      const { payload, payloadType, signatures } = parseBundle(file);
      if (payloadType !== STATEMENT_PAYLOAD_TYPE) continue;
      const statement = readStatement(payload);
      requireFacts(statement, facts);
      if (name !== undefined && statement.name !== name) continue;
      const key = toByteString(payload);
      const before = found.get(key)?.signatures ?? [];
      const seen = new Set(before.map(({ keyId }) => keyId));
      const more = signatures.filter(({ keyId }) => !seen.has(keyId));
      found.set(key, { statement, payload, signatures: [...before, ...more] });
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      reasons.push(error.message);
    }
  }
  const sorted = [...found.values()].sort((a, b) => b.statement.version - a.statement.version);
  const [first, second] = sorted;
  if (first === undefined) {
    const why = reasons.length === 0 ? "" : `: ${reasons.slice(0, 4).join("; ")}`;
    throw new TrustError("NO_BUNDLE", `image: no statement to add a signature to${why}`, {
      hint: "the first signer signs without --add",
    });
  }
  if (second?.statement.version === first.statement.version) {
    throw new UsageError(
      "USAGE",
      `image: two statements have version ${second.statement.version}`,
      {
        hint: "say which with --name, or name its file with --bundle",
      },
    );
  }
  requireTime(first.statement, now);
  return first;
}

/** @throws {@link TrustError} `EXPIRED` */
export function requireTime({ expires }: Statement, now: Date): void {
  if (now < expires) return;
  throw new TrustError(
    "EXPIRED",
    `statement: expired ${formatTime(expires)}, so another signature is of no use`,
    { hint: "sign a new statement, without --add or --attach" },
  );
}

/**
 * How the image was built, from the latest statement about it that the signer's own key has signed.
 * What others have stated is not signed again.
 */
export function earlierStatement(
  located: LocatedImage,
  facts: ImageFacts,
  key: PublicKey,
): Pick<Statement, "profile" | "source" | "platform" | "seekIndex"> | undefined {
  return statementsIn(located.bundles, [key])
    .filter(({ isOwn, statement }) => isOwn && isAbout(statement, facts))
    .map(({ statement }) => statement)
    .sort((a, b) => b.version - a.version)[0];
}

/** A statement that was found, and who has signed it. */
export interface SeenStatement {
  readonly statement: Statement;
  /** Whether one of the keys that were asked about has signed it. */
  readonly isOwn: boolean;
  /** The first key that it names, which nobody has checked. */
  readonly keyId: string;
}

/** The statements in bundles; what is none is left out, since no client takes it. */
export function statementsIn(
  bundles: readonly Uint8Array[],
  keys: readonly PublicKey[],
): SeenStatement[] {
  return bundles.flatMap((file) => {
    try {
      const { payload, payloadType, signatures } = parseBundle(file);
      if (payloadType !== STATEMENT_PAYLOAD_TYPE) return [];
      const statement = readStatement(payload);
      const message = preAuthEncoding(payloadType, payload);
      const isOwn = keys.some((key) =>
        signatures.some(({ bytes }) => key.verifies(message, bytes)),
      );
      return [{ statement, isOwn, keyId: signatures[0]?.keyId ?? "" }];
    } catch (error) {
      if (error instanceof SealfsError) return [];
      throw error;
    }
  });
}

/** Whether all agrees that the image's bytes tell. */
function isAbout(statement: Statement, facts: ImageFacts): boolean {
  return (
    statement.sha256 === facts.sha256 &&
    statement.verityDigest === facts.verityDigest &&
    statement.size === facts.size &&
    statement.objects.count === facts.objects.count &&
    statement.objects.bytes === facts.objects.bytes
  );
}

/** Signatures over exactly these bytes, from the bundles that were found with the image. */
export function signaturesOver(located: LocatedImage, payload: Uint8Array): EnvelopeSignature[] {
  const wanted = toByteString(payload);
  return located.bundles.flatMap((file) => {
    try {
      const envelope = parseBundle(file);
      const same = envelope.payloadType === STATEMENT_PAYLOAD_TYPE;
      return same && toByteString(envelope.payload) === wanted ? envelope.signatures : [];
    } catch {
      return []; // not a bundle
    }
  });
}

/** @throws {@link TrustError} `BAD_STATEMENT`, `UNSUPPORTED_STATEMENT` or `BAD_SUBJECT` */
export function readStatement(payload: Uint8Array): Statement {
  const { subjects, predicate } = parseStatement(payload);
  const [subject, ...others] = subjects;
  if (subject !== undefined && others.length === 0) return { ...subject, ...predicate };
  throw new TrustError("BAD_SUBJECT", "statement: expected exactly one subject");
}

/**
 * Requires the statement to agree with all facts that the image's bytes tell.
 *
 * @throws {@link TrustError} `WRONG_IMAGE`
 */
export function requireFacts(statement: Statement, facts: ImageFacts): void {
  if (isAbout(statement, facts)) return;
  throw new TrustError("WRONG_IMAGE", `statement: is about another image than ${facts.sha256}`);
}
