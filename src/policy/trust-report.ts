/**
 * Everything that is known about the trust in an image: who signed, which rule accepted it, what is
 * remembered, and until when it is valid. Making the report changes nothing.
 *
 * @module
 */
import { SealfsError, UsageError } from "../errors.ts";
import { type Listing, type PolicyKey, type TrustPolicy, policyOf } from "../trust/policy.ts";
import { type PolicyDocument, signersOf } from "../trust/policy-chain.ts";
import { inOrder } from "../trust/refusals.ts";
import type { Statement } from "../trust/statement.ts";
import { formatTime } from "../trust/time.ts";
import {
  ANY_NAME,
  type Expectation,
  type VerifiedStatement,
  verifyBundles,
} from "../trust/verify-bundles.ts";
import {
  type Demands,
  type Places,
  fetchListed,
  locateImage,
  notCurrent,
  platformAsked,
} from "../verify/locate.ts";
import type { KeptMark } from "../verify/mark-file.ts";
import { verifyImageFile } from "../verify/verified-image.ts";

/** The report, as `sealfs trust --json` prints it. */
export interface TrustReport {
  readonly target: string;
  /** Whether the image would be accepted now. */
  readonly ok: boolean;
  readonly refusal: { readonly code: string; readonly message: string } | undefined;
  /**
   * The name asked for; undefined when none was given, and the reader has to judge the statement's
   * name.
   */
  readonly asked: string | undefined;
  readonly statement: ReportedStatement | undefined;
  readonly signedBy: readonly ReportedKey[];
  readonly threshold: VerifiedStatement["threshold"] | undefined;
  readonly policy: ReportedPolicy | undefined;
  /** What is remembered of the name. */
  readonly memory: ReportedMemory | undefined;
  /**
   * The listing that proves that no newer version is hidden; undefined when only the expiry bounds
   * that.
   */
  readonly listing: string | undefined;
  /** What ends the trust, earliest first. */
  readonly deadlines: readonly Deadline[];
  /** Bundles that were refused. */
  readonly refused: readonly { bundles: string; code: string; message: string }[];
  /** Key hints of signatures that do not count. */
  readonly notCounted: readonly string[];
}

type ReportedStatement = Omit<Statement, "created" | "expires"> & {
  readonly created: string;
  readonly expires: string;
};

interface ReportedKey {
  readonly keyId: string;
  readonly comment: string | undefined;
  /** Patterns of the policy by which it may sign the name; empty without a policy. */
  readonly by: readonly string[];
  readonly notAfter: string | undefined;
}

interface ReportedPolicy {
  readonly name: string;
  readonly version: number;
  readonly epoch: number;
  /** Keys that have signed it; empty for an unsigned policy. */
  readonly signedBy: readonly string[];
  readonly expires: string | undefined;
}

export interface ReportedMemory {
  readonly place: string;
  /** The highest version seen; undefined when the name is new here. */
  readonly version: number | undefined;
  readonly epoch: number | undefined;
  readonly since: string | undefined;
}

/** A time from which on the image is refused. */
export interface Deadline {
  readonly when: string;
  readonly what: string;
}

/** Makes the report. A refusal of the image is part of it, and not thrown. */
export async function reportTrust(
  target: string,
  places: Places,
  demands: Demands,
  document?: PolicyDocument,
): Promise<TrustReport> {
  const { listing } = policyOf(demands.trust);
  if (listing === undefined) return reportOn(target, places, demands, document, undefined);
  try {
    const listed = (await fetchListed(target, places, demands))!;
    return reportOn(target, listed.places, listed.demands, document, listing);
  } catch (error) {
    if (!(error instanceof SealfsError) || error instanceof UsageError) throw error;
    // Without the listing's bundles, the report covers those that lie with the image.
    const trust = policyOf(demands.trust).withListing(undefined);
    const report = reportOn(target, places, { ...demands, trust }, document, listing);
    const { code, message } = error;
    return { ...report, ok: false, refusal: { code, message }, deadlines: [] };
  }
}

function reportOn(
  target: string,
  places: Places,
  demands: Demands,
  document: PolicyDocument | undefined,
  listing: Listing | undefined,
): TrustReport {
  const { now, state } = demands;
  const policy = policyOf(demands.trust);
  const {
    bytes,
    bundles,
    problems,
    name: stored,
  } = locateImage(target, places, policy.keyring, demands);
  const asked = demands.name ?? stored;
  const expected: Expectation = {
    name: asked ?? ANY_NAME,
    platform: platformAsked(demands, stored),
    now,
  };
  const { accepted, refused } = verifyBundles(bundles, policy, expected);
  const marksOf = state?.marksOf.bind(state);
  let refusal: TrustReport["refusal"];
  let best = accepted[0];
  let mark: KeptMark | undefined;
  try {
    const request = { ...expected, bytes, bundles, problems, trust: policy, marksOf };
    const verified = verifyImageFile(request);
    best = accepted.find(({ statement }) => statement.version === verified.statement.version);
  } catch (error) {
    const told = listing === undefined ? error : notCurrent(error, listing);
    if (!(told instanceof SealfsError)) throw told;
    refusal = { code: told.code, message: told.message };
  }
  try {
    const platform = best?.statement.platform;
    mark = asked === undefined ? undefined : state?.marksOf(asked, policy, platform).own;
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error; // the refusal says so already
  }
  return {
    target,
    ok: refusal === undefined,
    refusal,
    asked,
    statement: best && reportStatement(best.statement),
    signedBy: best?.keyIds.map((id) => reportKey(id, policy, best.statement.name)) ?? [],
    threshold: best?.threshold,
    policy: reportPolicy(policy, document, now),
    memory: state && {
      place: state.path,
      version: mark?.version,
      epoch: mark?.epoch,
      since: mark?.recorded,
    },
    listing: listing?.text,
    deadlines: best === undefined || refusal !== undefined ? [] : deadlinesOf(best, policy),
    refused: inOrder(refused, asked).map(({ label, error: { code, message } }) => {
      return { bundles: label, code, message };
    }),
    notCounted: best?.unverified ?? [],
  };
}

/** What ends the trust in a statement by the clock alone. */
export function deadlinesOf(verified: VerifiedStatement, policy: TrustPolicy): Deadline[] {
  const { statement, keyIds, threshold } = verified;
  const { content } = policy;
  const ends: [Date | undefined, string][] = [
    [statement.expires, "the statement expires"],
    [content?.expires, "the policy expires"],
  ];
  if (content?.maxAge !== undefined) {
    const end = new Date(statement.created.getTime() + content.maxAge * 1000);
    ends.push([end, "the statement is older than the policy's maxAge"]);
  }
  // How many keys may end before too few are left.
  const spare = keyIds.length - threshold.needed;
  const keyEnds = keyIds
    .map((id) => ({ id, end: entryOf(policy, id)?.notAfter?.getTime() ?? Infinity }))
    .sort((a, b) => a.end - b.end);
  const last = keyEnds[spare];
  if (last !== undefined && last.end !== Infinity) {
    ends.push([new Date(last.end), `too few keys are left: ${last.id} is no longer valid`]);
  }
  return ends
    .flatMap(([time, what]) => (time === undefined ? [] : [{ when: formatTime(time), what }]))
    .sort((a, b) => (a.when < b.when ? -1 : 1));
}

function entryOf({ content }: TrustPolicy, keyId: string): PolicyKey | undefined {
  return content?.keys.find(({ key }) => key.id === keyId);
}

function reportStatement({ created, expires, ...statement }: Statement): ReportedStatement {
  return { ...statement, created: formatTime(created), expires: formatTime(expires) };
}

function reportKey(keyId: string, policy: TrustPolicy, name: string): ReportedKey {
  const entry = entryOf(policy, keyId);
  const notAfter = entry?.notAfter && formatTime(entry.notAfter);
  return { keyId, comment: entry?.comment, by: policy.patternsFor(keyId, name), notAfter };
}

function reportPolicy(
  policy: TrustPolicy,
  document: PolicyDocument | undefined,
  now: Date,
): ReportedPolicy | undefined {
  const { content } = policy;
  if (content === undefined) return undefined;
  const { name, version, epoch, expires } = content;
  const signedBy = document === undefined ? [] : signersOf(document, policy, now);
  return { name, version, epoch, signedBy, expires: expires && formatTime(expires) };
}
