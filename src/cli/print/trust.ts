/**
 * What `sealfs trust` prints.
 *
 * @module
 */
import type { ReportedMemory, TrustReport } from "../../policy/trust-report.ts";
import { factLines } from "../terminal/table.ts";

/** The report, one line for each fact. */
export function trustLines(report: TrustReport): string[] {
  const { statement, threshold, policy, memory, refusal } = report;
  const rows: [string, string][] = [];
  const add = (label: string, text: string | undefined) => text && rows.push([label, text]);
  add("image", report.target);
  add("trusted", refusal === undefined ? "yes" : `NO, ${refusal.code}: ${refusal.message}`);
  if (statement !== undefined) {
    add("name", statement.name + (report.asked === undefined ? " (no name was asked for)" : ""));
    for (const { keyId, comment, by, notAfter } of report.signedBy) {
      const notes = [comment, by.length > 0 ? `by ${by.join(" ")}` : undefined];
      if (notAfter !== undefined) notes.push(`until ${notAfter}`);
      const said = notes.filter((note) => note !== undefined && note !== "").join("; ");
      add("signed by", keyId + (said && ` (${said})`));
    }
    const { needed, pattern } = threshold!;
    const why = pattern === undefined ? "" : ` (for ${pattern})`;
    add("keys", `${report.signedBy.length} signed, ${needed} needed${why}`);
    add("version", String(statement.version));
    add("digest", statement.verityDigest);
    add("sha256", statement.sha256);
    add("size", `${statement.size} bytes`);
    add("created", statement.created);
    add("expires", statement.expires);
    add("profile", statement.profile);
    add("source", statement.source?.digest);
    add("objects", `${statement.objects.count} (${statement.objects.bytes} bytes)`);
  }
  if (policy === undefined) add("rule", "plain keys: each may sign every name, alone, for ever");
  else {
    const signed = policy.signedBy.join(", ") || "not signed";
    add("policy", `${policy.name}, version ${policy.version}, epoch ${policy.epoch}, ${signed}`);
  }
  add("memory", memoryText(memory));
  add("freshness", freshnessText(report));
  for (const [i, { when, what }] of report.deadlines.entries()) {
    add(i === 0 ? "ends" : "later", `${when}: ${what}`);
  }
  if (report.ok) add("or when", endsOtherwise(report));
  for (const hint of report.notCounted) add("not counted", JSON.stringify(hint));
  for (const { bundles, code, message } of report.refused) {
    add("refused", message.startsWith(bundles) ? message : `${bundles}: ${code}: ${message}`);
  }
  return factLines(rows);
}

function memoryText(memory: ReportedMemory | undefined): string {
  if (memory === undefined) return "none: older versions would not be noticed";
  const { version, epoch, since, place } = memory;
  if (version === undefined) return `nothing seen yet (${place})`;
  return `version ${version}, epoch ${epoch}, since ${since} (${place})`;
}

function freshnessText({ listing, statement }: TrustReport): string {
  if (listing !== undefined) return `the current bundle by ${listing}`;
  const until = statement === undefined ? "its expiry" : statement.expires;
  return `by expiry alone: a newer version can be hidden until ${until}`;
}

function endsOtherwise({ statement, memory, policy, listing }: TrustReport): string {
  const ways = [
    ...(memory === undefined ? [] : [`a version above ${statement!.version} is verified here`]),
    ...(listing === undefined ? [] : [`${listing} lists another image, or is not renewed in time`]),
    ...(policy === undefined ? ["the key is taken out of the keyring"] : []),
    ...(policy === undefined ? [] : ["a new policy revokes a key or the image"]),
  ];
  return ways.join(", or ");
}
