/**
 * Opens what the user trusts, key files and folders or a policy, and the folder in which versions
 * are remembered.
 *
 * Spec: docs/policy.md, "In force".
 *
 * @module
 */
import { TrustError, UsageError } from "../errors.ts";
import { verifyVersion } from "../trust/high-water.ts";
import { type PolicyDocument, verifyInForce } from "../trust/policy-chain.ts";
import { TrustPolicy } from "../trust/policy.ts";
import { keyringWarning, readKeyring } from "../keys/key-files.ts";
import { settleTime } from "./clock-floor.ts";
import { readPolicyFile } from "./policy-files.ts";
import { sha256Of } from "../sys/sha256.ts";
import { TrustState } from "../verify/trust-state.ts";

/** The user's options. */
export interface TrustRequest {
  /** Files of public keys. */
  readonly key: readonly string[];
  /** Folders of public keys. */
  readonly keys: readonly string[];
  /** A policy file, in place of keys. */
  readonly policy?: string | undefined;
  /** The folder of the memory of versions, or `none`. */
  readonly state?: string | undefined;
  /** Lower bounds of the time, for a machine whose clock cannot be relied on. */
  readonly clockFloor?: readonly string[] | undefined;
}

/** What is trusted, and warnings about it for the user. */
export interface OpenedTrust {
  readonly trust: TrustPolicy;
  readonly state: TrustState | undefined;
  /** The policy file, where it is one. */
  readonly document: PolicyDocument | undefined;
  /** The time to verify at: the clock's, or a floor. */
  readonly now: Date;
  readonly warnings: readonly string[];
}

/** Stands for the digest of a policy that nobody has signed. */
const UNSIGNED = "0".repeat(64);

/**
 * Reads keys or policy. A policy older than one that was in force here before is refused, and a
 * newer one is remembered.
 *
 * @throws {@link UsageError} for keys beside a policy, which would bypass it
 * @throws {@link TrustError} `NO_KEY`, `BAD_KEY`, `BAD_POLICY`, `POLICY_EXPIRED`,
 *   `POLICY_NOT_SIGNED`, `POLICY_ROLLBACK`, `BAD_STATE` or `STATE_NOT_KEPT`
 */
export function openTrust(request: TrustRequest, clock: Date): OpenedTrust {
  const state = TrustState.open(request.state);
  const timed = (policy: TrustPolicy) => {
    const { now, isLowerBound, warnings } = settleTime(
      clock,
      request.clockFloor ?? [],
      state,
      policy,
    );
    return { now, warnings, trust: isLowerBound ? policy.withTimeLowerBound() : policy };
  };
  if (request.policy === undefined) {
    const keyring = readKeyring(request.key, request.keys);
    const { trust, now, warnings } = timed(TrustPolicy.ofKeyring(keyring));
    const all = [...warnings, ...warningsOf(keyring)];
    return { trust, state, document: undefined, now, warnings: all };
  }
  if (request.key.length > 0 || request.keys.length > 0) {
    throw new UsageError(
      "USAGE",
      "--policy: says which keys are trusted, so --key cannot add more",
      {
        hint: "put the key into the policy: sealfs policy add-key",
      },
    );
  }
  const what = `policy ${request.policy}`;
  const document = readPolicyFile(request.policy);
  const { trust, now, warnings } = timed(document.policy);
  verifyInForce(document, now, what);
  if (state !== undefined) rememberVersion(document, state, now, what);
  return { trust, state, document, now, warnings: [...warnings, ...warningsOf(trust.keyring)] };
}

/** Refuses a policy older than the remembered one, and remembers a newer one. */
function rememberVersion(
  { content, payload, envelope }: PolicyDocument,
  state: TrustState,
  now: Date,
  what: string,
): void {
  const signed = envelope !== undefined;
  const mark = {
    epoch: 0,
    version: content.version,
    sha256: signed ? sha256Of(payload) : UNSIGNED,
  };
  const kept = state.policyMark(content.name);
  const before = kept && { ...kept, epoch: 0 };
  // Otherwise anyone who can write the file could get around signatures by removing them.
  if (!signed && before !== undefined && before.sha256 !== UNSIGNED) {
    throw new TrustError(
      "POLICY_NOT_SIGNED",
      `${what}: is not signed, but version ${before.version} was`,
      { hint: "the keys in policyKeys sign it with sealfs policy sign" },
    );
  }
  // A local file without signatures may be edited in place; a signed version exists once.
  const edited = before?.version === mark.version && before.sha256 === UNSIGNED;
  const progress = edited
    ? "same"
    : refusingRollback(what, () => verifyVersion(mark, before, what));
  if (progress === "same" && !(edited && signed)) return;
  // The epoch ranks marks of signed versions above all others.
  state.rememberPolicy(content.name, { ...mark, epoch: signed ? 1 : 0 }, now);
}

function refusingRollback<T>(what: string, compare: () => T): T {
  try {
    return compare();
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    const message = cause.code === "ROLLBACK" ? cause.message : `${what}: ${cause.message}`;
    throw new TrustError("POLICY_ROLLBACK", message, {
      cause,
      hint: "what an older policy trusts may be revoked by now: get the current one",
    });
  }
}

function warningsOf(keyring: TrustPolicy["keyring"]): string[] {
  const warning = keyringWarning(keyring);
  return warning === undefined ? [] : [warning];
}
