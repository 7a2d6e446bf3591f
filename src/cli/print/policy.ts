/**
 * What `sealfs policy show` prints.
 *
 * @module
 */
import { formatDuration } from "../../trust/duration.ts";
import { type PolicyDocument, signersOf } from "../../trust/policy-chain.ts";
import type { PolicyKey } from "../../trust/policy.ts";
import { formatTime } from "../../trust/time.ts";
import { factLines } from "../terminal/table.ts";
import { counted } from "../terminal/units.ts";

/** The policy, one line for each fact. */
export function policyLines(document: PolicyDocument, now: Date): string[] {
  const { policy, content, envelope } = document;
  const { authority, maxAge, maxValidity } = content;
  const signers = signersOf(document, policy, now);
  const facts: [string, string][] = [
    ["policy", `${content.name}, version ${content.version}, epoch ${content.epoch}`],
    ["signed", envelope === undefined ? "no" : signers.join(", ") || "by none of its keys"],
    ["expires", content.expires === undefined ? "never" : formatTime(content.expires)],
  ];
  if (maxAge !== undefined) facts.push(["max age", formatDuration(maxAge)]);
  if (maxValidity !== undefined) facts.push(["max validity", formatDuration(maxValidity)]);
  facts.push([
    "threshold",
    `${content.threshold} of ${counted(content.keys.length, "key")} for every name`,
  ]);
  for (const { names, threshold } of content.thresholds) {
    facts.push(["", `${threshold} for ${names.text}`]);
  }
  for (const entry of content.keys) {
    facts.push(["key", entry.key.id], ["", keyText(entry, policy.standing(entry.key.id, now))]);
  }
  facts.push(["policy keys", `${authority.threshold} of ${authority.keyIds.join(", ")}`]);
  for (const { what, reason, since } of content.revoked) {
    const when = since === undefined ? "" : ` since ${formatTime(since)}`;
    facts.push(["revoked", `${what}${when}${reason && `: ${reason}`}`]);
  }
  return factLines(facts);
}

function keyText({ names, notBefore, notAfter, comment }: PolicyKey, standing: string): string {
  const may = names.map(({ text }) => text).join(" ") || "no names";
  const notes = [
    standing === "good" ? undefined : standing.toUpperCase(),
    notBefore && `from ${formatTime(notBefore)}`,
    notAfter && `until ${formatTime(notAfter)}`,
    comment,
  ].filter((text) => text !== undefined);
  const said = notes.join("; ");
  return `may sign ${may}${said && ` (${said})`}`;
}
