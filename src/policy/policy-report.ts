/**
 * What a policy says, for people and programs, and what to mind about it.
 *
 * @module
 */
import { formatDuration } from "../trust/duration.ts";
import { type PolicyDocument, signersOf } from "../trust/policy-chain.ts";
import { formatTime } from "../trust/time.ts";
import { keyringWarning } from "../keys/key-files.ts";

const SOON_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

/** The policy in lines. */
export function policyLines({ policy, content, envelope, ...document }: PolicyDocument, now: Date) {
  const signers = signersOf({ policy, content, envelope, ...document }, policy, now);
  const { authority } = content;
  const signed = envelope === undefined ? "no" : signers.join(", ") || "by none of its keys";
  const lines = [
    `policy      ${content.name}, version ${content.version}, epoch ${content.epoch}`,
    `signed      ${signed}`,
    `expires     ${content.expires === undefined ? "never" : formatTime(content.expires)}`,
  ];
  for (const [what, seconds] of [
    ["max age    ", content.maxAge],
    ["max validity", content.maxValidity],
  ] as const) {
    if (seconds !== undefined) lines.push(`${what} ${formatDuration(seconds)}`);
  }
  lines.push(`threshold   ${content.threshold} of ${content.keys.length} keys for every name`);
  for (const { names, threshold } of content.thresholds) {
    lines.push(`            ${threshold} for ${names.text}`);
  }
  for (const { key, names, notBefore, notAfter, comment } of content.keys) {
    const may = names.map(({ text }) => text).join(" ") || "no names";
    const times = [
      notBefore && `from ${formatTime(notBefore)}`,
      notAfter && `until ${formatTime(notAfter)}`,
    ].filter((text) => text !== undefined);
    const standing = policy.standing(key.id, now);
    const notes = [standing === "good" ? undefined : standing.toUpperCase(), ...times, comment];
    const said = notes.filter((text) => text !== undefined).join("; ");
    lines.push(`key         ${key.id}`, `            may sign ${may}${said && ` (${said})`}`);
  }
  lines.push(`policy keys ${authority.threshold} of ${authority.keyIds.join(", ")}`);
  for (const { what, reason, since } of content.revoked) {
    const when = since === undefined ? "" : ` since ${formatTime(since)}`;
    lines.push(`revoked     ${what}${when}${reason && `: ${reason}`}`);
  }
  return lines;
}

/** What a careful person would ask about. */
export function policyWarnings({ policy, content, envelope }: PolicyDocument, now: Date): string[] {
  const warnings: string[] = [];
  const good = content.keys.filter(({ key }) => policy.standing(key.id, now) === "good");
  const signing = good.filter(({ names }) => names.length > 0).length;
  const testKey = keyringWarning(policy.keyring);
  if (testKey !== undefined) warnings.push(testKey.replace(/^warning: /, ""));
  if (envelope === undefined) warnings.push("not signed: whoever can write the file decides");
  for (const { names, threshold } of [
    { names: { text: "every name" }, threshold: content.threshold },
    ...content.thresholds,
  ]) {
    if (threshold <= signing) continue;
    warnings.push(`${names.text}: needs ${threshold} keys, and only ${signing} are good now`);
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
  if (isSoon(content.expires, now)) {
    warnings.push(`the policy expires ${formatTime(content.expires!)}`);
  }
  return warnings;
}

function isSoon(time: Date | undefined, now: Date): boolean {
  return time !== undefined && time.getTime() - now.getTime() < SOON_DAYS * DAY_MS;
}
