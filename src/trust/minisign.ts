/**
 * Signatures and public keys in minisign's format, for users who have minisign but not sealfs.
 * The prehashed kind (`ED`): Ed25519 over the BLAKE2b-512 of the file, and a second signature over
 * the first and the trusted comment.
 *
 * Spec: minisign's "Signature format" and "Public key format".
 *
 * @module
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { TrustError } from "../errors.ts";
import { encodeBase64 } from "./base64.ts";
import type { PublicKey } from "./public-key.ts";

const PREHASHED = [0x45, 0x44]; // "ED"
const KEY = [0x45, 0x64]; // "Ed"
const KEY_NUMBER_BYTES = 8;

/** The public key as `minisign -P` takes it. Its key number is the start of the SHA-256 of the key. */
export function minisignKey(key: PublicKey): string {
  return encodeBase64(Uint8Array.from([...KEY, ...keyNumber(key), ...key.bytes]));
}

/**
 * The signature file of a message.
 *
 * @param comment one line that is signed too
 * @throws {@link TrustError} `BAD_ENCODING` for a comment that is not one line of printable ASCII
 */
export function minisign(
  message: Uint8Array,
  comment: string,
  publicKey: PublicKey,
  sign: (bytes: Uint8Array) => Uint8Array,
): string {
  if (!/^[\x20-\x7e]*$/.test(comment)) {
    throw new TrustError("BAD_ENCODING", "minisign: expected a comment of printable ASCII");
  }
  const signature = sign(blake2b(message, { dkLen: 64 }));
  const trusted = new TextEncoder().encode(comment);
  const global = sign(Uint8Array.from([...signature, ...trusted]));
  const blob = Uint8Array.from([...PREHASHED, ...keyNumber(publicKey), ...signature]);
  return [
    `untrusted comment: signature by ${publicKey.id}`,
    encodeBase64(blob),
    `trusted comment: ${comment}`,
    encodeBase64(global),
    "",
  ].join("\n");
}

function keyNumber(key: PublicKey): Uint8Array {
  return sha256(key.bytes).subarray(0, KEY_NUMBER_BYTES);
}
