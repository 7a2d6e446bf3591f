/**
 * The verifier's steps 3 and 4: which trusted keys have signed an envelope's bytes.
 *
 * Spec: docs/statement.md, "Step 4: signatures"; DSSE 1.0.2 `protocol.md`, "Protocol".
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { type Envelope, preAuthEncoding } from "./dsse.ts";
import type { Standing, TrustPolicy } from "./policy.ts";

/** Bytes that at least one trusted key has signed. */
export interface SignedPayload {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** Ids of the keys that count now, each once. */
  readonly signers: readonly string[];
  /**
   * Key hints of the other signatures: by unknown keys, invalid, or by keys that do not count now.
   */
  readonly unverified: readonly string[];
}

/** How many more signatures may be tried with keys that they do not name. */
export interface Tries {
  left: number;
}

/**
 * Tries every signature with every trusted key, the one it names first. Keys are counted, not
 * signatures, so that one key signing twice counts once. A hint at a key decides nothing, but once
 * `tries` are used up only hinted keys are tried: this bounds the cost of many signatures by
 * unknown keys.
 *
 * @throws {@link TrustError} `UNTRUSTED_KEY`, `BAD_SIGNATURE`, `REVOKED_KEY` or `KEY_NOT_VALID`
 *   when no key counts
 */
export function findSigners(
  envelope: Envelope,
  policy: TrustPolicy,
  now: Date,
  tries: Tries,
  label: string,
): SignedPayload {
  const { payloadType, payload } = envelope;
  const { keyring } = policy;
  // Step 3: the signature is over type and payload, as decoded.
  const message = preAuthEncoding(payloadType, payload);
  const signers = new Set<string>();
  const unverified: string[] = [];
  const standings = new Map<string, Standing>();
  for (const { keyId, bytes } of envelope.signatures) {
    const hinted = keyring.get(keyId);
    const isSigner = hinted?.verifies(message, bytes) === true;
    const signer = isSigner
      ? hinted
      : keyring.keys.find(
          (key) => key !== hinted && tries.left-- > 0 && key.verifies(message, bytes),
        );
    const standing = signer && policy.standing(signer.id, now);
    if (signer !== undefined && standing === "good") signers.add(signer.id);
    else unverified.push(keyId);
    if (signer !== undefined && standing !== undefined) standings.set(signer.id, standing);
  }
  if (signers.size === 0) throw refusal(envelope, policy, standings, label);
  return { payloadType, payload, signers: [...signers], unverified };
}

/**
 * Tells the reasons apart: a key that is no longer trusted, an unknown key, or a signature that
 * does not match the bytes.
 */
function refusal(
  envelope: Envelope,
  policy: TrustPolicy,
  standings: ReadonlyMap<string, Standing>,
  label: string,
): TrustError {
  for (const [keyId, standing] of standings) {
    if (standing !== "revoked") {
      return new TrustError("KEY_NOT_VALID", `${label}: the key ${keyId} is ${standing}`);
    }
    const reason = policy.revocationOf(keyId)?.reason ?? "";
    const because = reason === "" ? "" : `: ${reason}`;
    return new TrustError("REVOKED_KEY", `${label}: the key ${keyId} is revoked${because}`);
  }
  const hints = envelope.signatures.map(({ keyId }) => keyId.slice(0, 100));
  const trusted = hints.find((keyId) => policy.keyring.get(keyId) !== undefined);
  if (trusted !== undefined) {
    return new TrustError(
      "BAD_SIGNATURE",
      `${label}: the signature by ${trusted} does not fit the bundle's bytes`,
      { hint: "the bundle was changed after it was signed, or damaged on its way" },
    );
  }
  const named = hints.filter((hint) => hint !== "").map((hint) => JSON.stringify(hint));
  const by = named.length > 0 ? named.join(", ") : "a key that it does not name";
  return new TrustError("UNTRUSTED_KEY", `${label}: signed by ${by}, which is not trusted`, {
    hint: "trust the key with --key or --keys, if it came to you from someone you trust",
  });
}
