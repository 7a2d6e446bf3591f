/**
 * Warnings about a policy.
 *
 * @module
 */
import type { PolicyContent } from "../trust/policy.ts";
import type { PolicyDocument } from "../trust/policy-chain.ts";
import { formatTime } from "../trust/time.ts";
import { keyringWarning } from "../keys/key-files.ts";

/** How long before an end a warning begins. */
const WARNING_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

/** One sentence for each thing that is wrong, or soon will be. */
export function policyWarnings({ policy, content, envelope }: PolicyDocument, now: Date): string[] {
  const warnings: string[] = [];
  const good = content.keys.filter(({ key }) => policy.standing(key.id, now) === "good");
  const signing = good.filter(({ names }) => names.length > 0);
  const testKey = keyringWarning(policy.keyring);
  if (testKey !== undefined) warnings.push(testKey.replace(/^warning: /, ""));
  if (envelope === undefined) warnings.push("not signed: anyone who can write the file decides");
  if (content.threshold > signing.length) {
    warnings.push(tooFew("every name", content.threshold, signing.length, "may sign"));
  } else {
    // What a key may sign alone is of no use where names need more.
    const own = new Map(signing.flatMap(({ names }) => names.map((each) => [each.text, each])));
    const patterns = [...own.values()].map((names) => ({ names, threshold: content.threshold }));
    for (const { names, threshold } of [...content.thresholds, ...patterns]) {
      const may = signing.filter((key) => key.names.some((each) => each.overlaps(names))).length;
      if (threshold > may)
        warnings.push(tooFew(names.text, threshold, may, "may sign names that match"));
    }
  }
  const deciding = content.authority.keyIds.filter((id) => policy.standing(id, now) === "good");
  if (deciding.length < content.authority.threshold) {
    warnings.push("too few keys that are good now could sign the next policy");
  }
  for (const { key, notAfter } of content.keys) {
    const standing = policy.standing(key.id, now);
    if (standing === "no longer valid") warnings.push(`key ${key.id} is no longer valid`);
    else if (standing === "good" && isSoon(notAfter, now)) {
      warnings.push(`key ${key.id} is valid until ${formatTime(notAfter!)} only`);
    }
  }
  return [...warnings, ...expiryWarnings(content, now)];
}

function tooFew(what: string, needed: number, has: number, rest: string): string {
  const needs = needed === 1 ? "1 key" : `${needed} keys`;
  const keys = has === 0 ? "no key" : has === 1 ? "only 1 key" : `only ${has} keys`;
  return `${what}: needs ${needs}, and ${keys} that can be used now ${rest}`;
}

/** What is wrong, or soon will be, with the time of a policy, signed or not. */
export function expiryWarnings({ expires }: Pick<PolicyContent, "expires">, now: Date): string[] {
  if (expires === undefined || !isSoon(expires, now)) return [];
  const when = formatTime(expires);
  return [
    expires > now
      ? `the policy expires ${when}`
      : `the policy expired ${when}, so that clients refuse it`,
  ];
}

function isSoon(time: Date | undefined, now: Date): boolean {
  return time !== undefined && time.getTime() - now.getTime() < WARNING_DAYS * DAY_MS;
}
