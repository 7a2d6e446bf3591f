/**
 * Bundle files, which carry envelopes. One signature is written as a Sigstore bundle, version 0.3,
 * which cosign verifies too; several are written as a bare DSSE envelope. Both are read:
 *
 * ```json
 * {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
 *  "verificationMaterial":{"publicKey":{"hint":"SHA256:…"}},
 *  "dsseEnvelope":{"payload":"…","payloadType":"application/vnd.in-toto+json",
 *                  "signatures":[{"sig":"…","keyid":"SHA256:…"}]}}
 * ```
 *
 * `hint` and `keyid` are the fingerprint that `ssh-keygen -lf` prints. They only help to find the
 * key, yet a bundle in which they differ is refused, so that no single changed bit of a bundle goes
 * unnoticed. The payload is an in-toto statement, see `statement.ts`. A bundle carries exactly one
 * signature: further signers make further bundles.
 *
 * Spec: docs/statement.md, "Files"; Sigstore bundle v0.3 (sigstore_bundle.proto), DSSE 1.0.2
 * `envelope.md`.
 *
 * @module
 */
import { asObject, asString } from "../bytes/json-fields.ts";
import type { JsonObject } from "../bytes/json.ts";
import { TrustError } from "../errors.ts";
import { parseDocument, refusing } from "./document.ts";
import { type Envelope, envelopeObject, readEnvelope } from "./dsse.ts";

const BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const FINGERPRINT = /^SHA256:/;

/**
 * The envelope in a bundle file or a bare envelope file.
 *
 * @throws {@link TrustError} `BAD_BUNDLE` when the file is neither; `BAD_ENCODING` for bytes in it
 *   that are not strict base64, too many signatures, or one of the wrong size
 */
export function parseBundle(file: Uint8Array, what = "bundle"): Envelope {
  const object = parseDocument(file, what, "BAD_BUNDLE");
  if (object.has("mediaType")) return readSigstoreBundle(object, what);
  if (object.has("payload")) return readEnvelope(object, what);
  throw new TrustError("BAD_BUNDLE", `${what}: neither a Sigstore bundle nor a DSSE envelope`);
}

/** The bundle file of an envelope with one signature: one line, newline included. */
export function formatBundle(envelope: Envelope): Uint8Array {
  const [signature, ...others] = envelope.signatures;
  if (signature === undefined || others.length > 0) {
    throw new TrustError("BAD_BUNDLE", "bundle: exactly one signature is needed");
  }
  return fileOf({
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: signature.keyId } },
    dsseEnvelope: envelopeObject(envelope),
  });
}

/** The file of a bare envelope with all its signatures. */
export function formatEnvelope(envelope: Envelope): Uint8Array {
  return fileOf(envelopeObject(envelope));
}

function readSigstoreBundle(object: JsonObject, what: string): Envelope {
  const { hint, dsse } = refusing("BAD_BUNDLE", () => {
    const mediaType = asString(object.get("mediaType"), `${what}: mediaType`);
    if (mediaType !== BUNDLE_MEDIA_TYPE) {
      const got = JSON.stringify(mediaType.slice(0, 100));
      throw new TrustError("BAD_BUNDLE", `${what}: expected ${BUNDLE_MEDIA_TYPE}, got ${got}`);
    }
    const material = asObject(object.get("verificationMaterial"), `${what}: verificationMaterial`);
    const publicKey = asObject(material.get("publicKey"), `${what}: publicKey`);
    return {
      hint: asString(publicKey.get("hint"), `${what}: hint`),
      dsse: asObject(object.get("dsseEnvelope"), `${what}: dsseEnvelope`),
    };
  });
  // The schema allows either `dsseEnvelope` or `messageSignature`; a bare envelope's fields are
  // foreign.
  for (const name of ["messageSignature", "payload", "signatures"]) {
    if (object.has(name)) throw new TrustError("BAD_BUNDLE", `${what}: unexpected ${name}`);
  }
  const envelope = readEnvelope(dsse, what);
  const [signature, ...others] = envelope.signatures;
  if (signature === undefined || others.length > 0) {
    const count = envelope.signatures.length;
    throw new TrustError("BAD_ENCODING", `${what}: expected exactly one signature, got ${count}`);
  }
  // Other tools write other hints and omit the keyid; sealfs writes the same fingerprint in both.
  const fingerprints = FINGERPRINT.test(hint) || FINGERPRINT.test(signature.keyId);
  if (fingerprints && hint !== signature.keyId) {
    throw new TrustError("BAD_BUNDLE", `${what}: hint and keyid name different keys`);
  }
  return envelope;
}

function fileOf(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
