/**
 * Signatures that the Linux kernel itself checks: PKCS#7 over the fs-verity digest of an image, by
 * the key of an X.509 certificate in the keyring `.fs-verity`. The composefs project puts the same
 * signature beside images in registries. It binds the image's bytes and nothing else: no name, no
 * version, no expiry.
 *
 * One form is made and read, that of `fsverity sign`, to the byte: detached, no certificates, no
 * signed attributes, one signer named by issuer and serial number.
 *
 * Spec: kernel documentation, fsverity.rst, "Built-in signature verification"; RFC 2315 (PKCS#7).
 *
 * @module
 */
import { type KeyObject, X509Certificate, createPrivateKey, sign, verify } from "node:crypto";
import { TrustError } from "../errors.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import {
  type DerValue,
  childrenOf,
  der,
  integer,
  octets,
  oid,
  sequence,
  set,
} from "../trust/der.ts";
import { keyKind } from "../trust/key-kind.ts";

/** A certificate, and what a signature says of it. */
export interface Signatory {
  readonly publicKey: KeyObject;
  /** DER of the issuer's name and of the serial number. */
  readonly issuer: Uint8Array;
  readonly serial: Uint8Array;
}

const NULL = der(0x05);
const DATA = oid("1.2.840.113549.1.7.1");
const SIGNED_DATA = oid("1.2.840.113549.1.7.2");
const hashes: Record<VerityAlgorithm, { hash: Uint8Array; ecdsa: Uint8Array; number: number }> = {
  sha256: {
    hash: sequence(oid("2.16.840.1.101.3.4.2.1"), NULL),
    ecdsa: sequence(oid("1.2.840.10045.4.3.2")),
    number: 1,
  },
  sha512: {
    hash: sequence(oid("2.16.840.1.101.3.4.2.3"), NULL),
    ecdsa: sequence(oid("1.2.840.10045.4.3.4")),
    number: 2,
  },
};
const RSA = sequence(oid("1.2.840.113549.1.1.1"), NULL);

/** The bytes that the kernel checks: `FSVerity`, algorithm and size as le16, the digest. */
export function verityMessage(digest: VerityDigest): Uint8Array {
  const bytes = Buffer.from(digest, "hex");
  const head = Buffer.alloc(12);
  head.write("FSVerity", "latin1");
  head.writeUInt16LE(hashes[algorithmOf(digest)].number, 8);
  head.writeUInt16LE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}

/** @throws {@link TrustError} `BAD_KEY` unless it is the X.509 certificate of an RSA or EC key */
export function parseCertificate(text: string, what: string): Signatory {
  try {
    const certificate = new X509Certificate(text);
    // Certificate { TBSCertificate { [0] version?, serial, algorithm, issuer, … }, … }
    const tbs = childrenOf(childrenOf(certificate.raw)[0]!.whole);
    const [serial, , issuer] = tbs[0]?.tag === 0xa0 ? tbs.slice(1) : tbs;
    const { publicKey } = certificate;
    if (serial?.tag === 0x02 && issuer?.tag === 0x30 && isUsable(publicKey)) {
      return { publicKey, issuer: issuer.whole, serial: serial.whole };
    }
  } catch (cause) {
    throw new TrustError(
      "BAD_KEY",
      `${what}: expected an X.509 certificate, got ${keyKind(text)}`,
      { cause },
    );
  }
  throw new TrustError("BAD_KEY", `${what}: expected the certificate of an RSA or EC key`);
}

/** @throws {@link TrustError} `BAD_KEY` when it is not a private key, or not the certificate's */
export function parseSigningKey(text: string, signatory: Signatory, what: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new TrustError(
      "BAD_KEY",
      `${what}: expected a private key in PEM that needs no passphrase, got ${keyKind(text)}`,
      { cause },
    );
  }
  const probe = Buffer.from("probe");
  const same =
    key.asymmetricKeyType === signatory.publicKey.asymmetricKeyType &&
    verify("sha256", probe, signatory.publicKey, sign("sha256", probe, key));
  if (same) return key;
  throw new TrustError("BAD_KEY", `${what}: is not the key of the certificate`);
}

/** The signature file of an image with this digest. */
export function signPkcs7(digest: VerityDigest, signatory: Signatory, key: KeyObject): Uint8Array {
  const algorithm = algorithmOf(digest);
  return wrap(signatory, algorithm, sign(algorithm, verityMessage(digest), key));
}

/**
 * @throws {@link TrustError} `BAD_ENCODING` when it is not a signature in this form by this
 *   signatory; `BAD_SIGNATURE` when it is not over this digest
 */
export function verifyPkcs7(file: Uint8Array, digest: VerityDigest, signatory: Signatory): void {
  const algorithm = algorithmOf(digest);
  const signature = signatureIn(file);
  // Encoding it again has to give the same bytes: a signature has exactly one file.
  if (signature === undefined || !wrap(signatory, algorithm, signature).equals(file)) {
    throw new TrustError(
      "BAD_ENCODING",
      "PKCS#7: expected a detached signature by this certificate, as fsverity sign makes it",
    );
  }
  if (verify(algorithm, verityMessage(digest), signatory.publicKey, signature)) return;
  throw new TrustError("BAD_SIGNATURE", `PKCS#7: does not fit the digest ${digest}`);
}

function wrap(signatory: Signatory, algorithm: VerityAlgorithm, signature: Uint8Array): Buffer {
  const { hash, ecdsa } = hashes[algorithm];
  const { publicKey, issuer, serial } = signatory;
  const kind = publicKey.asymmetricKeyType === "rsa" ? RSA : ecdsa;
  const signer = sequence(integer(1), sequence(issuer, serial), hash, kind, octets(signature));
  const signed = sequence(integer(1), set(hash), sequence(DATA), set(signer));
  return sequence(SIGNED_DATA, der(0xa0, signed));
}

/** Levels of the container above the signature, with a few to spare. */
const NESTING_MAX = 8;

/** The signature: an octet string, reached by way of the last value at each level. */
function signatureIn(file: Uint8Array): Uint8Array | undefined {
  let values: readonly DerValue[] = childrenOf(file);
  for (let depth = 0; depth < NESTING_MAX; depth++) {
    const last = values.at(-1);
    if (last === undefined) return undefined;
    if (last.tag === 0x04) return last.content;
    values = childrenOf(last.whole);
  }
  return undefined;
}

function isUsable({ asymmetricKeyType }: KeyObject): boolean {
  return asymmetricKeyType === "rsa" || asymmetricKeyType === "ec";
}
