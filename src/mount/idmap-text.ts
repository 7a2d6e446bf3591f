/**
 * How people write which owners are shown as which: as mount(8) has it for `X-mount.idmap`.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import type { IdMap, IdRange } from "../sys/idmap.ts";

const MOST_IDS = 2 ** 32;
/** What the kernel takes for one map. */
const MOST_RANGES = 340;

/**
 * Reads entries such as `0:1000:1` (both users and groups), `u:0:1000:1` or `g:0:1000:1`: the first id
 * in the image, the first as it is shown, and how many. An id that is in no entry is shown as nobody.
 *
 * @throws {@link UsageError} for anything else, and for entries that overlap
 */
export function parseIdmap(entries: readonly string[]): IdMap {
  const uids: IdRange[] = [];
  const gids: IdRange[] = [];
  for (const entry of entries.flatMap((text) => text.split(/\s+/)).filter(Boolean)) {
    const match = /^(?:(?<type>[bug]):)?(?<inside>\d+):(?<outside>\d+):(?<count>\d+)$/.exec(entry);
    if (match?.groups === undefined) throw bad(entry, "expected [u:|g:]ID:SHOWN:COUNT");
    const { type = "b", ...numbers } = match.groups;
    const range = {
      inside: Number(numbers["inside"]),
      outside: Number(numbers["outside"]),
      count: Number(numbers["count"]),
    };
    const last = Math.max(range.inside, range.outside) + range.count;
    if (range.count < 1 || last >= MOST_IDS) throw bad(entry, "expected ids below 2^32 - 1");
    if (type !== "g") uids.push(range);
    if (type !== "u") gids.push(range);
  }
  check(uids, "users");
  check(gids, "groups");
  return { uids, gids };
}

function check(ranges: readonly IdRange[], what: string): void {
  if (ranges.length === 0) throw bad(what, "expected at least one entry for them");
  if (ranges.length > MOST_RANGES) throw bad(what, `expected at most ${MOST_RANGES} entries`);
  for (const side of ["inside", "outside"] as const) {
    const sorted = ranges.toSorted((a, b) => a[side] - b[side]);
    for (const [i, range] of sorted.entries()) {
      const before = sorted[i - 1];
      if (before !== undefined && before[side] + before.count > range[side]) {
        throw bad(what, `id ${range[side]} is in two entries`);
      }
    }
  }
}

function bad(what: string, reason: string): UsageError {
  return new UsageError("USAGE", `idmap ${what}: ${reason}`);
}
