/**
 * Signatures in the format of `ssh-keygen -Y`, for users who have OpenSSH but not sealfs. They are
 * made with the same Ed25519 key, and byte for byte as `ssh-keygen -Y sign` makes them.
 *
 * Spec: OpenSSH PROTOCOL.sshsig.
 *
 * @module
 */
import { sha512 } from "@noble/hashes/sha2.js";
import { TrustError } from "../errors.ts";
import { encodeBase64 } from "./base64.ts";
import type { PublicKey } from "./public-key.ts";

const MAGIC = "SSHSIG";
const VERSION = 1;
const HASH = "sha512";

/**
 * The bytes that the key signs for a message; the namespace states what the signature is for.
 *
 * @throws {@link TrustError} `BAD_ENCODING` for an empty namespace
 */
export function sshSignedBytes(message: Uint8Array, namespace: string): Uint8Array {
  if (namespace === "") throw new TrustError("BAD_ENCODING", "ssh signature: no namespace");
  const fields = [text(namespace), text(""), text(HASH), sha512(message)];
  return join(text(MAGIC), ...fields.map(sshString));
}

/** The armored signature file, of a signature over {@link sshSignedBytes}. */
export function formatSshSignature(
  publicKey: PublicKey,
  namespace: string,
  signature: Uint8Array,
): string {
  const version = Uint8Array.of(0, 0, 0, VERSION);
  const inner = join(sshString(text("ssh-ed25519")), sshString(signature));
  const fields = [publicKey.toSshWire(), text(namespace), text(""), text(HASH), inner];
  const blob = join(text(MAGIC), version, ...fields.map(sshString));
  const lines = encodeBase64(blob).match(/.{1,70}/g) ?? [];
  return ["-----BEGIN SSH SIGNATURE-----", ...lines, "-----END SSH SIGNATURE-----", ""].join("\n");
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function sshString(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return join(length, bytes);
}

function join(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
