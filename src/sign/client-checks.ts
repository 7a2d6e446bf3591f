/**
 * Whether clients will take what was just signed, by the very steps that they take: the signer
 * hears of a wrong time or a key that may not sign, and not first their users.
 *
 * Spec: docs/statement.md, "The verifier's steps".
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { Keyring } from "../trust/keyring.ts";
import { TrustPolicy } from "../trust/policy.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { inOrder } from "../trust/refusals.ts";
import type { Statement } from "../trust/statement.ts";
import { verifyBundles } from "../trust/verify-bundles.ts";
import { verifyTimes } from "../trust/verify-payload.ts";

/** Refusals by a time that was asked for. */
const PASSING: ReadonlySet<TrustError["code"]> = new Set(["NOT_YET_VALID", "EXPIRED"]);

const HINTS: Partial<Record<TrustError["code"], string>> = {
  BAD_VALIDITY: "name an earlier end with --expires",
  TOO_OLD: "name a later time of creation with --created, or leave SOURCE_DATE_EPOCH unset",
  UNTRUSTED_KEY: "add the key to the policy: sealfs policy add-key",
  NAME_NOT_ALLOWED: "add the name to the policy, or sign another one with --name",
};

/** What was just signed. */
export interface Signed {
  readonly statement: Statement;
  /** Bundles over it; their signatures count together. */
  readonly bundles: readonly Uint8Array[];
  /** The keys that have signed just now. */
  readonly keyIds: readonly string[];
}

/**
 * Verifies what was signed as a client with this policy will.
 *
 * @returns warnings, for what clients refuse now and may accept later
 * @throws {@link TrustError} with the code that clients will refuse it with
 */
export function verifyAsClients(
  { statement, bundles, keyIds }: Signed,
  policy: TrustPolicy,
  now: Date,
): string[] {
  const { name, created } = statement;
  const warnings = verifyTimesAsClients(statement, policy, now);
  const at = now < created ? created : now;
  const { accepted, refused } = verifyBundles(bundles, policy, { name, now: at });
  const [first] = accepted.length > 0 ? [] : inOrder(refused, name);
  if (first === undefined || first.error.code === "EXPIRED") return warnings;
  if (first.error.code !== "BELOW_THRESHOLD") throw refusal(first.error);
  // Further signers may come, but these would never count.
  const idle = keyIds.filter((id) => policy.keyring.get(id) && !policy.maySign(id, name));
  if (idle.length > 0) {
    const message = `the policy does not let ${idle.join(", ")} sign ${JSON.stringify(name)}`;
    throw refusal(new TrustError("NAME_NOT_ALLOWED", message));
  }
  return [...warnings, warning(first.error)];
}

/** The same of the times alone, before there is a signature. */
export function verifyTimesAsClients(
  statement: Statement,
  policy: TrustPolicy | undefined,
  now: Date,
): string[] {
  try {
    verifyTimes(statement, policy ?? { content: undefined, isTimeLowerBound: false }, now);
    return [];
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    if (!PASSING.has(error.code)) throw refusal(error);
    const { created } = statement;
    const isEarly = error.code === "NOT_YET_VALID" && now < created;
    const later = isEarly ? verifyTimesAsClients(statement, policy, created) : [];
    return [warning(error), ...later];
  }
}

function warning({ message }: TrustError): string {
  return `clients refuse this now: ${withoutLabel(message)}`;
}

function refusal({ code, message, hint, cause }: TrustError): TrustError {
  return new TrustError(code, `clients would refuse this: ${withoutLabel(message)}`, {
    cause,
    hint: HINTS[code] ?? hint,
  });
}

const withoutLabel = (message: string) => message.replace(/^bundles?[ 0-9,]*: /, "");

/** The policy of clients that trust any of these keys. */
export function anyOf(keys: readonly PublicKey[]): TrustPolicy {
  return TrustPolicy.ofKeyring(new Keyring(keys));
}
