/**
 * Signing a bootstrap: the statement about it, in an envelope, in a bundle.
 *
 * @module
 */
import { verifyImage } from "../erofs/check.ts";
import { formatBundle } from "../trust/bundle.ts";
import { preAuthEncoding } from "../trust/dsse.ts";
import type { PrivateKey } from "../trust/private-key.ts";
import {
  type Predicate,
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  formatStatement,
} from "../trust/statement.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { objectsOf } from "../erofs/object-list.ts";
import { sha256Of } from "./sha256.ts";
import type { Validity } from "./validity.ts";

/** Facts about a bootstrap that its bytes tell. */
export type ImageFacts = Pick<Statement, "sha256" | "verityDigest" | "size" | "objects">;

/** What to say about a bootstrap, besides the facts. */
export interface SigningRequest extends Validity {
  /** The name that clients will ask for. */
  readonly name: string;
  readonly key: PrivateKey;
  /** How it was built, when that is known. */
  readonly profile?: Predicate["profile"];
  /** From what it was built, when that is known. */
  readonly source?: Predicate["source"];
}

/** A signed statement. */
export interface SignedImage {
  readonly statement: Statement;
  /** The bundle file. */
  readonly bundle: Uint8Array;
  /** The fingerprint of the key that signed. */
  readonly keyId: string;
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
  const { name, key, profile, source, version, created, expires } = request;
  const about = { name, ...facts };
  const statement: Statement = { ...about, profile, source, version, created, expires };
  const payload = formatStatement(statement);
  const signature = key.sign(preAuthEncoding(STATEMENT_PAYLOAD_TYPE, payload));
  const keyId = key.publicKey.id;
  const bundle = formatBundle({
    payloadType: STATEMENT_PAYLOAD_TYPE,
    payload,
    signatures: [{ keyId, bytes: signature }],
  });
  return { statement, bundle, keyId };
}

function algorithmFor(object: VerityDigest | undefined): VerityAlgorithm {
  return object === undefined ? "sha256" : algorithmOf(object);
}
