/**
 * The verifier's steps 4 to 8: from bytes with good signatures to a statement about the name asked
 * for, by enough keys that may sign it, valid now.
 *
 * Spec: docs/statement.md, "The verifier's steps"; in-toto attestation framework, "Validation".
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type PlatformDemand, demandDistance } from "../platform/platform-match.ts";
import { formatPlatform } from "../platform/platform.ts";
import { formatDuration } from "./duration.ts";
import type { TrustPolicy } from "./policy.ts";
import type { SignedPayload } from "./signers.ts";
import {
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  type UnboundStatement,
  parseStatement,
} from "./statement.ts";
import { formatTime } from "./time.ts";

/** Accepts any name: the caller shows the statement's name to the user instead. */
export const ANY_NAME: unique symbol = Symbol("any name");

/** What the caller asks for. */
export interface Expectation {
  /** The name that the user asked for, never one taken from a file's name. */
  readonly name: string | typeof ANY_NAME;
  /** What the image has to run on; a statement that names no platform is for any. */
  readonly platform?: PlatformDemand | undefined;
  /** The time, read once for the whole run. */
  readonly now: Date;
}

/** A statement that enough trusted keys have made, about the name asked for, valid now. */
export interface VerifiedStatement {
  /** The bundles that contain it: `bundle 2`, or `bundles 2, 3`. */
  readonly label: string;
  readonly statement: Statement;
  /** The trusted keys that signed and may, each once, in the order of the keyring; at least one. */
  readonly keyIds: readonly [string, ...string[]];
  /** How many keys this name needs, and the policy's pattern that demands it. */
  readonly threshold: { readonly needed: number; readonly pattern: string | undefined };
  /** Key hints of the other signatures: by unknown keys, invalid, or by keys that do not count. */
  readonly unverified: readonly string[];
}

const CLOCK_SKEW_SECONDS = 5 * 60;
const DAY_SECONDS = 24 * 60 * 60;

/**
 * The rest of step 4, and steps 5 to 8, for bytes that trusted keys have signed, in one bundle or
 * in several.
 *
 * @throws {@link TrustError} with the code of the first step that fails
 */
export function verifyPayload(
  parts: readonly SignedPayload[],
  policy: TrustPolicy,
  expected: Expectation,
  label: string,
): VerifiedStatement {
  const { payloadType, payload } = parts[0]!;
  const signed = new Set(parts.flatMap(({ signers }) => signers));
  const signers = policy.keyring.keys.map((key) => key.id).filter((id) => signed.has(id));
  const { name, now } = expected;
  // Step 4: enough keys, each counted once, for the name asked for.
  if (name !== ANY_NAME) requireThreshold(signers, policy, name, label);
  // Step 5: the type, only now, since the signature covers it.
  if (payloadType !== STATEMENT_PAYLOAD_TYPE) {
    const got = JSON.stringify(payloadType.slice(0, 100));
    throw new TrustError(
      "BAD_PAYLOAD_TYPE",
      `${label}: expected payload type ${STATEMENT_PAYLOAD_TYPE}, got ${got}`,
    );
  }
  // Step 6: parse exactly the bytes that were verified.
  const unbound = parseStatement(payload);
  // Step 7: one subject, with the name asked for, for this platform, which enough of the keys may
  // sign.
  const statement = bindSubject(unbound, name);
  verifyPlatform(statement, expected.platform);
  const allowed = signers.filter((id) => policy.maySign(id, statement.name));
  const [first, ...others] = allowed;
  if (first === undefined) throw notAllowed(signers, statement.name);
  const threshold = requireThreshold(allowed, policy, statement.name, label);
  // Step 8: the time, and what was revoked since.
  verifyTimes(statement, policy, now);
  const revocation = policy.revocationOf(statement);
  if (revocation !== undefined) {
    throw new TrustError(
      "REVOKED_IMAGE",
      `statement: image ${revocation.what} is revoked${because(revocation.reason)}`,
    );
  }
  const notCounted = signers.filter((id) => !allowed.includes(id));
  const unverified = [...notCounted, ...parts.flatMap((part) => part.unverified)];
  return { label, statement, keyIds: [first, ...others], threshold, unverified };
}

function requireThreshold(
  signers: readonly string[],
  policy: TrustPolicy,
  name: string,
  label: string,
): VerifiedStatement["threshold"] {
  const threshold = policy.thresholdFor(name);
  if (signers.length >= threshold.needed) return threshold;
  const shown = JSON.stringify(name);
  throw new TrustError(
    "BELOW_THRESHOLD",
    `${label}: ${shown} needs ${threshold.needed} keys, signed by ${signers.length}: ${signers.join(", ")}`,
    { hint: "further signers add theirs with sealfs sign --add" },
  );
}

function notAllowed(signers: readonly string[], name: string): TrustError {
  const shown = JSON.stringify(name);
  return new TrustError(
    "NAME_NOT_ALLOWED",
    `statement: the policy does not let ${signers.join(", ")} sign the name ${shown}`,
  );
}

function bindSubject(unbound: UnboundStatement, name: Expectation["name"]): Statement {
  const [subject, ...others] = unbound.subjects;
  if (subject === undefined || others.length > 0) {
    throw new TrustError(
      "BAD_SUBJECT",
      `statement: expected exactly one subject, got ${unbound.subjects.length}`,
    );
  }
  if (name !== ANY_NAME && subject.name !== name) {
    throw new TrustError(
      "WRONG_NAME",
      `statement: expected the name ${JSON.stringify(name)}, got ${JSON.stringify(subject.name)}`,
    );
  }
  return { ...subject, ...unbound.predicate };
}

function verifyPlatform({ name, platform }: Statement, demand: PlatformDemand | undefined): void {
  if (demand === undefined || platform === undefined) return;
  if (demandDistance(demand, platform) !== undefined) return;
  const [wanted, got] = [formatPlatform(demand.platform), formatPlatform(platform)];
  throw new TrustError(
    "WRONG_PLATFORM",
    `statement: expected ${JSON.stringify(name)} for ${wanted}, got the image for ${got}`,
    { hint: `to take it all the same, ask for it: --platform ${got}` },
  );
}

/**
 * Step 8: the statement is valid now, and not for longer than allowed.
 *
 * @throws {@link TrustError} `NOT_YET_VALID`, `EXPIRED`, `BAD_VALIDITY` or `TOO_OLD`
 */
export function verifyTimes(
  { created, expires }: Pick<Statement, "created" | "expires">,
  { content, isTimeLowerBound }: Pick<TrustPolicy, "content" | "isTimeLowerBound">,
  clock: Date,
): void {
  const seconds = (time: Date) => time.getTime() / 1000;
  // What a trusted key has signed tells that it was made: the time is at least that.
  const now = isTimeLowerBound && clock < created ? created : clock;
  if (!(seconds(created) <= seconds(now) + CLOCK_SKEW_SECONDS)) {
    throw new TrustError(
      "NOT_YET_VALID",
      `statement: created ${formatTime(created)}, which is after now, ${formatTime(now)}`,
      { hint: "check this machine's clock; for a device without one there is --clock-floor" },
    );
  }
  if (!(seconds(now) < seconds(expires))) {
    throw new TrustError(
      "EXPIRED",
      `statement: expired ${formatTime(expires)}, now is ${formatTime(now)}`,
      { hint: "ask the signer for a new signature" },
    );
  }
  const validity = seconds(expires) - seconds(created);
  const most = Math.min(content?.maxValidity ?? Infinity, limits.validityDays * DAY_SECONDS);
  if (!(validity > 0 && validity <= most)) {
    throw new TrustError(
      "BAD_VALIDITY",
      `statement: expected to be valid for at most ${formatDuration(most)}, got ${formatTime(created)} to ${formatTime(expires)}`,
    );
  }
  const maxAge = content?.maxAge;
  if (maxAge !== undefined && !(seconds(now) - seconds(created) <= maxAge)) {
    throw new TrustError(
      "TOO_OLD",
      `statement: created ${formatTime(created)}, which is over ${formatDuration(maxAge)} ago`,
      { hint: "the policy's maxAge asks for a newer signature" },
    );
  }
}

function because(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}
