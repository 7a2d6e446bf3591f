/**
 * Signing a bootstrap: the statement about it, in an envelope, in a bundle.
 *
 * @module
 */
import { verifyImage } from "../erofs/check.ts";
import { TrustError } from "../errors.ts";
import { formatBundle, formatEnvelope } from "../trust/bundle.ts";
import { type EnvelopeSignature, preAuthEncoding } from "../trust/dsse.ts";
import type { PrivateKey } from "../trust/private-key.ts";
import type { PublicKey } from "../trust/public-key.ts";
import {
  type Predicate,
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  formatStatement,
} from "../trust/statement.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { objectsOf } from "../erofs/object-list.ts";
import { sha256Of } from "../sys/sha256.ts";
import type { Validity } from "./validity.ts";

/** Facts about a bootstrap that its bytes tell. */
export type ImageFacts = Pick<Statement, "sha256" | "verityDigest" | "size" | "objects">;

/** What to state about a bootstrap, besides the facts. */
export interface SigningRequest extends Validity {
  /** The name that clients will ask for. */
  readonly name: string;
  readonly key: PrivateKey;
  /** How it was built, when that is known. */
  readonly profile?: Predicate["profile"];
  /** From what it was built, when that is known. */
  readonly source?: Predicate["source"];
  /** What it runs on, when that is known. */
  readonly platform?: Predicate["platform"];
  /** Where its objects lie, when that is known. */
  readonly seekIndex?: Predicate["seekIndex"];
}

/** A signed statement. */
export interface SignedImage {
  readonly statement: Statement;
  /** The bundle file. */
  readonly bundle: Uint8Array;
  /** The fingerprint of the key that signed. */
  readonly keyId: string;
  /** The signed bytes of the statement, and the signature. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Reads the facts from the bytes, after the same strict check that a verifier makes. The verity
 * digest is of `algorithm`, or when that is not given of the algorithm that names the objects.
 *
 * @throws {@link FormatError} naming the rule that the bytes break
 */
export function imageFacts(bytes: Uint8Array, algorithm?: VerityAlgorithm): ImageFacts {
  const objects = objectsOf(verifyImage(bytes));
  const [first] = objects.keys();
  return {
    sha256: sha256Of(bytes),
    verityDigest: verityDigestOf(bytes, algorithm ?? algorithmFor(first)),
    size: bytes.length,
    objects: {
      count: objects.size,
      bytes: [...objects.values()].reduce((sum, size) => sum + size, 0),
    },
  };
}

/**
 * Signs a bootstrap.
 *
 * @throws {@link TrustError} `BAD_STATEMENT` when the name or another field is one that verifiers
 *   refuse; {@link FormatError} as {@link imageFacts}
 */
export function signImage(bytes: Uint8Array, request: SigningRequest): SignedImage {
  return signFacts(imageFacts(bytes), request);
}

/** Signs what the caller knows about a bootstrap that it has just made; as {@link signImage}. */
export function signFacts(facts: ImageFacts, request: SigningRequest): SignedImage {
  const prepared = prepareStatement(facts, request);
  const { key } = request;
  return finishBundle(prepared, key.publicKey, key.sign(prepared.message));
}

/** A statement, ready to be signed. */
export interface PreparedStatement {
  readonly statement: Statement;
  readonly payload: Uint8Array;
  /** The bytes that a signature is over. */
  readonly message: Uint8Array;
}

/**
 * The statement, without a key.
 *
 * @throws {@link TrustError} `BAD_STATEMENT` when verifiers would refuse a field
 */
export function prepareStatement(
  facts: ImageFacts,
  request: Omit<SigningRequest, "key">,
): PreparedStatement {
  const { name, profile, source, platform, seekIndex, version, created, expires } = request;
  const how = { profile, source, platform, seekIndex };
  const statement = { name, ...facts, ...how, version, created, expires };
  return preparedOf(statement, formatStatement(statement));
}

/** A statement that exists already, in its own bytes. */
export function preparedOf(statement: Statement, payload: Uint8Array): PreparedStatement {
  return { statement, payload, message: preAuthEncoding(STATEMENT_PAYLOAD_TYPE, payload) };
}

/**
 * The bundle of a statement and a signature that was made elsewhere.
 *
 * @throws {@link TrustError} `BAD_SIGNATURE` when it is not this key's over this statement
 */
export function finishBundle(
  { statement, payload, message }: PreparedStatement,
  publicKey: PublicKey,
  signature: Uint8Array,
): SignedImage {
  const keyId = publicKey.id;
  if (!publicKey.verifies(message, signature)) {
    throw new TrustError("BAD_SIGNATURE", `signature: not by ${keyId} over this statement`, {
      hint: "sign the very bytes that --print-pae gives, with plain Ed25519 (not Ed25519ph)",
    });
  }
  const signatures = [{ keyId, bytes: signature }];
  const bundle = formatBundle({ payloadType: STATEMENT_PAYLOAD_TYPE, payload, signatures });
  return { statement, payload, bundle, keyId, signature };
}

/** The file with several signatures over one statement, `others` first. */
export function envelopeOf(
  payload: Uint8Array,
  signed: readonly Pick<SignedImage, "keyId" | "signature">[],
  others: readonly EnvelopeSignature[] = [],
): Uint8Array {
  const own = signed.map(({ keyId, signature: bytes }) => ({ keyId, bytes }));
  const signatures = [...others, ...own];
  return formatEnvelope({ payloadType: STATEMENT_PAYLOAD_TYPE, payload, signatures });
}

function algorithmFor(object: VerityDigest | undefined): VerityAlgorithm {
  return object === undefined ? "sha256" : algorithmOf(object);
}
