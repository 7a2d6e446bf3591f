/**
 * Public keys: SPKI PEM as OpenSSL, cosign and Node write it, an OpenSSH `ssh-ed25519` line, or the
 * file of signify or minisign (a comment line, then base64 of `Ed`, 8 bytes of key number and the
 * key). A key is checked once, when it is read; its id is the fingerprint that `ssh-keygen -lf`
 * prints.
 *
 * Spec: RFC 8410, section 4; RFC 8709, section 4.
 *
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { TrustError } from "../errors.ts";
import { decodeBase64, encodeBase64, encodeBase64Unpadded } from "./base64.ts";
import { KEY_SIZE, SPKI_PREFIX, isSignature, keyDefect } from "./ed25519.ts";
import { SECRET_HINT, keyKind, publicKeyHint, signifyKind } from "./key-kind.ts";
import { formatPem, parsePem } from "./pem.ts";

const ID_PREFIX = "SHA256:";

/** An Ed25519 public key that has passed every check of its encoding and its group. */
export class PublicKey {
  /** `SHA256:` and the unpadded base64 of the SHA-256 of the key in OpenSSH's wire format. */
  readonly id: string;
  readonly #bytes: Uint8Array;

  /** @throws {@link TrustError} `BAD_KEY` when no signature by this key could be relied on */
  constructor(bytes: Uint8Array, what = "public key") {
    const defect = keyDefect(bytes);
    if (defect !== undefined) throw new TrustError("BAD_KEY", `${what}: ${defect}`);
    this.#bytes = bytes.slice();
    this.id = ID_PREFIX + encodeBase64Unpadded(sha256(sshWire(bytes)));
  }

  /** The 32 bytes of RFC 8032. */
  get bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Whether `signature` is this key's over `message`; never throws. */
  verifies(message: Uint8Array, signature: Uint8Array): boolean {
    return isSignature(this.#bytes, message, signature);
  }

  /** SPKI PEM, as `openssl pkey -pubout` writes it. */
  toPem(): string {
    return formatPem("PUBLIC KEY", join(SPKI_PREFIX, this.#bytes));
  }

  /** The key as OpenSSH's protocols send it (RFC 8709, section 4). */
  toSshWire(): Uint8Array {
    return sshWire(this.#bytes);
  }

  /** The line of an OpenSSH `.pub` file, without comment or newline. */
  toSsh(): string {
    return `${SSH_TYPE} ${encodeBase64(sshWire(this.#bytes))}`;
  }
}

/**
 * The key in the text of a key file.
 *
 * @throws {@link TrustError} `BAD_KEY`, naming `what`
 */
export function parsePublicKey(text: string, what = "public key"): PublicKey {
  const ssh = /^ssh-ed25519 ([A-Za-z0-9+/=]+)(?: [^\r\n]*)?\s*$/.exec(text);
  if (ssh !== null) return new PublicKey(parseSshWire(ssh[1]!, what), what);
  const signify = /^untrusted comment: [^\r\n]*\r?\n([A-Za-z0-9+/=]+)\s*$/.exec(text);
  if (signify !== null) return new PublicKey(parseSignify(signify[1]!, what), what);
  const pem = parsePem(text);
  if (pem?.label === "PUBLIC KEY") return new PublicKey(parseSpki(pem.bytes, what), what);
  const kind = keyKind(text);
  if (kind !== "a public key") {
    throw new TrustError("BAD_KEY", `${what}: expected a public key, got ${kind}`, {
      hint: publicKeyHint(text),
    });
  }
  throw new TrustError(
    "BAD_KEY",
    `${what}: expected one PEM block PUBLIC KEY, one ssh-ed25519 line, or a signify or minisign key`,
  );
}

function parseSpki(der: Uint8Array, what: string): Uint8Array {
  const expected = SPKI_PREFIX.length + KEY_SIZE;
  if (der.length !== expected || !SPKI_PREFIX.every((byte, i) => byte === der[i])) {
    throw new TrustError("BAD_KEY", `${what}: expected an Ed25519 key, got another kind`);
  }
  return der.subarray(SPKI_PREFIX.length);
}

const SSH_TYPE = "ssh-ed25519";

/** `string "ssh-ed25519"`, `string key`: each with its length in front as a big-endian u32. */
function sshWire(key: Uint8Array): Uint8Array {
  const type = new TextEncoder().encode(SSH_TYPE);
  return join(Uint8Array.of(0, 0, 0, type.length), type, Uint8Array.of(0, 0, 0, KEY_SIZE), key);
}

function parseSshWire(text: string, what: string): Uint8Array {
  const wire = decodeBase64(text);
  const key = wire?.slice(-KEY_SIZE);
  if (key?.length !== KEY_SIZE || encodeBase64(sshWire(key)) !== text) {
    throw new TrustError("BAD_KEY", `${what}: expected an ssh-ed25519 key`);
  }
  return key;
}

const SIGNIFY_HEAD = 2 + 8;

function parseSignify(text: string, what: string): Uint8Array {
  const bytes = decodeBase64(text);
  // Signatures and private keys have the same start, and other lengths.
  if (bytes?.length === SIGNIFY_HEAD + KEY_SIZE && bytes[0] === 0x45 && bytes[1] === 0x64) {
    return bytes.subarray(SIGNIFY_HEAD);
  }
  const got = signifyKind(bytes?.length ?? 0);
  throw new TrustError(
    "BAD_KEY",
    `${what}: expected the public key of signify or minisign, got ${got}`,
    { hint: got === "a private key" ? SECRET_HINT : undefined },
  );
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
