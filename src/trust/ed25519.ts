/**
 * Strict Ed25519. Libraries disagree about non-canonical encodings, points of small
 * order and the cofactor; a signature counts only where all of them agree: `@noble/ed25519` in
 * strict mode (cofactored equation) and OpenSSL (cofactorless) both accept, the key is a canonical
 * point of the prime-order group, and R is canonical and not of small order. In a runtime without
 * `node:crypto` (a browser) OpenSSL's vote is missing and the other rules decide alone.
 *
 * Spec: docs/statement.md, "Keys and signatures"; RFC 8032, sections 5.1.3 and 5.1.7.
 *
 * @module
 */
import { Point, getPublicKey, hashes, sign, verify } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";

// noble's synchronous functions need SHA-512 to be set once.
hashes.sha512 = sha512;

/** Bytes of a public key, of a seed, and of half a signature. */
export const KEY_SIZE = 32;
export const SIGNATURE_SIZE = 64;

/** In front of the 32 bytes of a key in DER SubjectPublicKeyInfo (RFC 8410, section 4). */
export const SPKI_PREFIX = Uint8Array.from([
  0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
]);

/** Why `key` is unfit as a public key; undefined when it is fit. */
export function keyDefect(key: Uint8Array): string | undefined {
  if (key.length !== KEY_SIZE) return `expected ${KEY_SIZE} bytes, got ${key.length}`;
  if (key.every((byte) => byte === 0)) return "all bytes are zero";
  const point = canonicalPoint(key);
  if (point === undefined) return "not a canonical point of the curve";
  if (point.isSmallOrder()) return "a point of small order, for which anyone can sign";
  if (!point.isTorsionFree()) return "a point outside the prime-order group";
  return undefined;
}

/**
 * Whether `signature` is the key's over `message`. The caller has checked the key with
 * {@link keyDefect}. Never throws: an error inside a library means no.
 */
export function isSignature(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    if (signature.length !== SIGNATURE_SIZE) return false;
    // The fast check first: an envelope may hold many signatures by unknown keys.
    if (!opensslAccepts(key, message, signature)) return false;
    const r = canonicalPoint(signature.subarray(0, KEY_SIZE));
    if (r === undefined || r.isSmallOrder()) return false;
    // Any value but a literal false would be the lenient rules of ZIP 215.
    return verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

/** The signature over `message` by the key that `seed` (32 bytes) makes. */
export function signWithSeed(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return sign(message, seed);
}

/** The public key of a seed. */
export function publicKeyOfSeed(seed: Uint8Array): Uint8Array {
  return getPublicKey(seed);
}

/** The point that `bytes` encodes, if they are the only encoding of it. */
function canonicalPoint(bytes: Uint8Array): Point | undefined {
  try {
    const point = Point.fromBytes(bytes, false);
    return point.toBytes().every((byte, i) => byte === bytes[i]) ? point : undefined;
  } catch {
    return undefined;
  }
}

/** Whether OpenSSL accepts the signature; true in a runtime without OpenSSL. */
function opensslAccepts(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (crypto === undefined) return true;
  const der = Buffer.concat([SPKI_PREFIX, key]);
  const publicKey = crypto.createPublicKey({ key: der, format: "der", type: "spki" });
  return crypto.verify(null, message, publicKey, signature);
}
