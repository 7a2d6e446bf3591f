/** Headers that servers choose: a status line and headers, one a line, as HTTP/1.1 has them. */
import { extentOf, retryAfter } from "../../../src/http/answer.ts";
import { parseRange } from "../../../src/mirror/serve/byte-range.ts";
import { parseChallenges, challengeOf } from "../../../src/oci/registry/challenge.ts";
import { nextPage } from "../../../src/oci/registry/referrers.ts";
import { accepted, same } from "../invariant.ts";

const from = new URL("https://registry.example/v2/app/referrers/x");

export function fuzz(data: Uint8Array): void {
  const [first = "", ...lines] = Buffer.from(data).toString("latin1").split("\n");
  const headers: Record<string, string | string[]> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
    for (const challenge of parseChallenges(value)) {
      same(true, challenge.scheme === "basic" || challenge.realm !== undefined, "a challenge");
    }
    const range = parseRange(value, 1000);
    if (typeof range === "object") {
      same(true, 0 <= range.start && range.start <= range.end && range.end < 1000, "a range");
    }
  }
  challengeOf(headers);
  const ms = retryAfter(headers);
  same(true, ms === undefined || (Number.isFinite(ms) && ms >= 0), "Retry-After");
  const next = accepted(() => nextPage(headers["link"], from));
  same(from.origin, next?.origin ?? from.origin, "the server of the next page");
  for (const asked of [
    {},
    { expectedSize: 1000 },
    { range: { start: 10, end: 20 } },
    { range: { start: 990, end: 1000 }, expectedSize: 1000, mayBeEncoded: true },
  ]) {
    const extent = accepted(() => extentOf(Number(first) || 206, headers, asked, "answer"));
    if (extent === undefined) continue;
    const { start, bytes = 0 } = extent;
    same(true, Number.isSafeInteger(start) && Number.isSafeInteger(bytes), "an extent");
    if (asked.range && start !== 0) same(asked.range.start, start, "where a part begins");
  }
}
