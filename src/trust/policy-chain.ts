/**
 * Signed policies, and the rule by which one follows another: the new one is signed by a threshold
 * of the keys of the old and by a threshold of its own keys, and its version is exactly one higher.
 * So neither a few stolen keys nor a single administrator are enough to replace the keys that
 * decide, and no revocation can be skipped.
 *
 * A signed policy is a DSSE envelope whose payload is the policy file.
 *
 * Spec: docs/policy.md, "Signed policies"; TUF 1.0.34, section 5.3 (client workflow: update the
 * root role).
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { formatEnvelope } from "./bundle.ts";
import { parseDocument } from "./document.ts";
import { type Envelope, preAuthEncoding, readEnvelope } from "./dsse.ts";
import type { PolicyContent, TrustPolicy } from "./policy.ts";
import { parsePolicy } from "./policy-file.ts";
import type { PrivateKey } from "./private-key.ts";
import { formatTime } from "./time.ts";

/** DSSE's `payloadType` of a signed policy. */
export const POLICY_PAYLOAD_TYPE = "application/vnd.sealfs.policy.v1+json";

/** A policy file as it was read, its signatures not looked at. */
export interface PolicyDocument {
  readonly policy: TrustPolicy;
  readonly content: PolicyContent;
  /** The bytes of the policy itself. */
  readonly payload: Uint8Array;
  /** Undefined for a policy that is not signed. */
  readonly envelope: Envelope | undefined;
}

/**
 * Reads a policy, signed or not.
 *
 * @throws {@link TrustError} `BAD_POLICY`; `BAD_BUNDLE` or `BAD_ENCODING` for a malformed envelope
 */
export function readPolicy(bytes: Uint8Array, what = "policy"): PolicyDocument {
  const object = parseDocument(bytes, what, "BAD_POLICY");
  const envelope = object.has("payload") ? readEnvelope(object, what) : undefined;
  if (envelope !== undefined && envelope.payloadType !== POLICY_PAYLOAD_TYPE) {
    const got = JSON.stringify(envelope.payloadType.slice(0, 100));
    throw new TrustError(
      "BAD_PAYLOAD_TYPE",
      `${what}: expected payload type ${POLICY_PAYLOAD_TYPE}, got ${got}`,
    );
  }
  const payload = envelope?.payload ?? bytes;
  const policy = parsePolicy(payload, what);
  return { policy, content: policy.content!, payload, envelope };
}

/**
 * Requires a policy on this machine to be in force: it has not expired, and if it is signed, enough
 * of the keys that it names itself have signed it.
 *
 * @throws {@link TrustError} `POLICY_EXPIRED` or `POLICY_NOT_SIGNED`
 */
export function verifyInForce(document: PolicyDocument, now: Date, what = "policy"): void {
  const { content } = document;
  if (document.envelope !== undefined) requireAuthority(document, document.policy, now, what);
  if (content.expires === undefined || now < content.expires) return;
  throw new TrustError("POLICY_EXPIRED", `${what}: expired ${formatTime(content.expires)}`, {
    hint: "get the next version from its maintainers, and install it with sealfs policy update",
  });
}

/**
 * Requires `next` to be a valid successor of `old`.
 *
 * @throws {@link TrustError} `POLICY_NOT_SIGNED` below one of the two thresholds; `POLICY_ROLLBACK`
 *   for a version that is not the next, or a lower epoch; `BAD_POLICY` for another policy's name
 */
export function verifySuccessor(
  old: PolicyDocument,
  next: PolicyDocument,
  now: Date,
  what = "new policy",
): void {
  requireAuthority(next, old.policy, now, `${what}, by the keys of the old`);
  requireAuthority(next, next.policy, now, `${what}, by its own keys`);
  const [before, after] = [old.content, next.content];
  if (after.name !== before.name) {
    throw new TrustError(
      "BAD_POLICY",
      `${what}: expected the name ${JSON.stringify(before.name)}, got ${JSON.stringify(after.name)}`,
    );
  }
  if (after.version !== before.version + 1) {
    throw new TrustError(
      "POLICY_ROLLBACK",
      `${what}: expected version ${before.version + 1}, got ${after.version}`,
      { hint: "policies are installed one after the other, and none can be skipped" },
    );
  }
  if (after.epoch < before.epoch) {
    throw new TrustError(
      "POLICY_ROLLBACK",
      `${what}: its epoch ${after.epoch} is lower than the old one's, ${before.epoch}`,
    );
  }
}

/** The signed file of a policy: `key`'s signature is added to those that `document` has already. */
export function signPolicy(document: PolicyDocument, key: PrivateKey): Uint8Array {
  const { payload, envelope } = document;
  const keyId = key.publicKey.id;
  const others = envelope?.signatures.filter((signature) => signature.keyId !== keyId) ?? [];
  const bytes = key.sign(preAuthEncoding(POLICY_PAYLOAD_TYPE, payload));
  const signatures = [...others, { keyId, bytes }];
  return formatEnvelope({ payloadType: POLICY_PAYLOAD_TYPE, payload, signatures });
}

/**
 * Ids of the keys that `by` allows to sign policies, that are good now and that have signed
 * `document`.
 */
export function signersOf(document: PolicyDocument, by: TrustPolicy, now: Date): string[] {
  const { envelope } = document;
  if (envelope === undefined) return [];
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return by.content!.authority.keyIds.filter((id) => {
    const key = by.keyring.get(id);
    if (key === undefined || by.standing(id, now) !== "good") return false;
    return envelope.signatures.some(({ bytes }) => key.verifies(message, bytes));
  });
}

function requireAuthority(
  document: PolicyDocument,
  by: TrustPolicy,
  now: Date,
  what: string,
): void {
  const { threshold } = by.content!.authority;
  const signers = signersOf(document, by, now);
  if (signers.length >= threshold) return;
  throw new TrustError(
    "POLICY_NOT_SIGNED",
    `${what}: signed by ${signers.length} of the ${threshold} keys that it needs`,
    { hint: "the keys in policyKeys sign it with sealfs policy sign" },
  );
}
