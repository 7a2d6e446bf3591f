/**
 * Private keys encrypted with a passphrase: PKCS#8 with scrypt and AES-256-CBC, which OpenSSL and
 * Node read. (Node's own export derives the key with 2048 rounds of PBKDF2, too few to slow
 * guessing.)
 *
 * Spec: RFC 8018 (PBES2), RFC 7914, section 7.1 (scrypt in PKCS#8).
 *
 * @module
 */
import { createCipheriv, randomBytes, scryptSync } from "node:crypto";
import { formatPem, parsePem } from "../trust/pem.ts";
import { ENCRYPTED_LABEL, type PrivateKey } from "../trust/private-key.ts";
import { integer, octets, oid, sequence } from "../trust/der.ts";

// OpenSSL opens no more than 32 MiB of scrypt memory (128 N r bytes); p costs time alone.
const N = 16384;
const R = 8;
const P = 8;
/** Rounds of PBKDF2 below which the user is warned. */
const PBKDF2_MIN_ITERATIONS = 100_000;

const PBES2 = oid("1.2.840.113549.1.5.13");
const PBKDF2 = oid("1.2.840.113549.1.5.12");
const SCRYPT = oid("1.3.6.1.4.1.11591.4.11");
const AES_256_CBC = oid("2.16.840.1.101.3.4.1.42");

/** The PEM of a key, encrypted with `passphrase`. */
export function encryptKey(key: PrivateKey, passphrase: string): string {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const secret = scryptSync(passphrase, salt, 32, { N, r: R, p: P, maxmem: 256 * N * R });
  const cipher = createCipheriv("aes-256-cbc", secret, iv);
  const plain = parsePem(key.toPem())!.bytes;
  const box = Buffer.concat([cipher.update(plain), cipher.final()]);
  const derivation = sequence(SCRYPT, sequence(octets(salt), integer(N), integer(R), integer(P)));
  const algorithm = sequence(PBES2, sequence(derivation, sequence(AES_256_CBC, octets(iv))));
  return formatPem(ENCRYPTED_LABEL, sequence(algorithm, octets(box)));
}

/** Why the passphrase of an encrypted key file can be guessed quickly; undefined when it cannot. */
export function weaknessOf(text: string): string | undefined {
  const pem = parsePem(text);
  if (pem?.label !== ENCRYPTED_LABEL) return undefined;
  const bytes = Buffer.from(pem.bytes);
  const at = bytes.indexOf(PBKDF2);
  if (at < 0) return undefined;
  // Behind the identifier: SEQUENCE { OCTET STRING salt, INTEGER iterations, … }, all of them
  // short.
  const salt = at + PBKDF2.length + 2;
  const count = salt + 2 + (bytes[salt + 1] ?? 0);
  const size = bytes[count + 1] ?? 0;
  if (bytes[count] !== 0x02 || size < 1 || size > 6) return undefined;
  const iterations = bytes.subarray(count + 2, count + 2 + size).reduce((n, b) => n * 256 + b, 0);
  if (iterations >= PBKDF2_MIN_ITERATIONS) return undefined;
  return `its passphrase is guarded by ${iterations} rounds of PBKDF2 only; encrypt it again with openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt`;
}
