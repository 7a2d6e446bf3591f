/**
 * Private keys: PKCS#8 PEM of an Ed25519 seed, as OpenSSL and Node write it.
 *
 * Spec: RFC 8410, section 7.
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { KEY_SIZE, publicKeyOfSeed, signWithSeed } from "./ed25519.ts";
import { isPublic, keyKind } from "./key-kind.ts";
import { formatPem, parsePem } from "./pem.ts";
import { PublicKey } from "./public-key.ts";

/** In front of the 32 bytes of a seed in DER PrivateKeyInfo. */
const PKCS8_PREFIX = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/** The label of a PEM block that needs a passphrase first. */
export const ENCRYPTED_LABEL = "ENCRYPTED PRIVATE KEY";

/** A key that signs. The seed leaves it only through {@link PrivateKey.toPem}. */
export class PrivateKey {
  readonly publicKey: PublicKey;
  readonly #seed: Uint8Array;

  /** @param seed 32 random bytes */
  constructor(seed: Uint8Array) {
    if (seed.length !== KEY_SIZE) {
      throw new TrustError("BAD_KEY", `private key: expected ${KEY_SIZE} bytes of seed`);
    }
    this.#seed = seed.slice();
    this.publicKey = new PublicKey(publicKeyOfSeed(seed));
  }

  /**
   * The signature over `message`.
   *
   * @throws {@link TrustError} `BAD_SIGNATURE` when it does not verify: the machine has
   *   miscomputed, and a wrong signature can reveal the key
   */
  sign(message: Uint8Array): Uint8Array {
    const signature = signWithSeed(this.#seed, message);
    if (!this.publicKey.verifies(message, signature)) {
      throw new TrustError("BAD_SIGNATURE", "signature: does not verify right after signing");
    }
    return signature;
  }

  /** PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it. */
  toPem(): string {
    const der = new Uint8Array(PKCS8_PREFIX.length + KEY_SIZE);
    der.set(PKCS8_PREFIX);
    der.set(this.#seed, PKCS8_PREFIX.length);
    return formatPem("PRIVATE KEY", der);
  }
}

/** Whether the text of a key file has to be opened with a passphrase. */
export function isEncrypted(text: string): boolean {
  return parsePem(text)?.label === ENCRYPTED_LABEL;
}

/**
 * The key in the text of an unencrypted key file.
 *
 * @throws {@link TrustError} `BAD_KEY`, naming `what`
 */
export function parsePrivateKey(text: string, what = "private key"): PrivateKey {
  const pem = parsePem(text);
  if (pem?.label === "PRIVATE KEY") {
    const { bytes } = pem;
    const expected = PKCS8_PREFIX.length + KEY_SIZE;
    if (bytes.length === expected && PKCS8_PREFIX.every((byte, i) => byte === bytes[i])) {
      return new PrivateKey(bytes.subarray(PKCS8_PREFIX.length));
    }
    throw new TrustError("BAD_KEY", `${what}: expected an Ed25519 key, got another kind`);
  }
  const kind = keyKind(text);
  const expected = kind === "a private key" ? "one PEM block PRIVATE KEY" : "a private key";
  const got = kind === "a private key" ? (pem?.label ?? "another form") : kind;
  throw new TrustError("BAD_KEY", `${what}: expected ${expected}, got ${got}`, {
    hint: hintFor(pem?.label, text),
  });
}

function hintFor(label: string | undefined, text: string): string {
  if (label === ENCRYPTED_LABEL) return "the key is encrypted: its passphrase is needed";
  if (text.includes("OPENSSH PRIVATE KEY")) {
    return "OpenSSH's own key format is not read; make a key with sealfs keygen or openssl genpkey";
  }
  if (isPublic(text)) return "give the private half of the pair, which keygen calls PREFIX.key";
  return "make a key with sealfs keygen, or openssl genpkey -algorithm ed25519";
}
