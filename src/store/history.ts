/**
 * Which images a name has had, as far as they are in the store: what their bundles claim, whose
 * signatures nobody has checked here.
 *
 * @module
 */
import { type Platform, formatPlatform } from "../platform/platform.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type Claim, claimsOf } from "./claims.ts";
import type { Store } from "./store.ts";

/** One signed version of a name. */
export interface HistoryEntry {
  readonly name: string;
  readonly platform: Platform | undefined;
  readonly version: number;
  readonly created: Date;
  readonly expires: Date;
  readonly id: VerityDigest;
  /** Of the bundles that say so; sorted. */
  readonly keyIds: readonly string[];
  /** Whether the name leads to this image, and this is its latest version. */
  readonly isCurrent: boolean;
}

/** The versions of names, or of all names; sorted by name and platform, the latest version first. */
export function listHistory(store: Store, names?: readonly string[]): HistoryEntry[] {
  const wanted = names && new Set(names);
  const versions = new Map<string, Claim[]>();
  for (const id of store.images.ids()) {
    for (const claim of claimsOf(store.eachBundle(id))) {
      if (claim.id !== id || wanted?.has(claim.name) === false) continue;
      const key = [...keyOf(claim), String(claim.version), id].join("\n");
      const known = versions.get(key);
      if (known === undefined) versions.set(key, [claim]);
      else known.push(claim);
    }
  }
  const current = new Set<string>();
  return [...versions.values()]
    .sort(([a], [b]) => compare(a!, b!))
    .map((claims) => {
      const { name, platform, version, created, expires, id } = claims[0]!;
      const key = keyOf({ name, platform }).join("\n");
      const isCurrent = !current.has(key) && store.images.idOf({ name, platform }) === id;
      if (isCurrent) current.add(key);
      const keyIds = claims.map(({ keyId }) => keyId).sort();
      return { name, platform, version, created, expires, id, keyIds, isCurrent };
    });
}

function keyOf({ name, platform }: Pick<Claim, "name" | "platform">): [string, string] {
  return [name, platform === undefined ? "" : formatPlatform(platform)];
}

function compare(a: Claim, b: Claim): number {
  const [one, other] = [keyOf(a).join("\n"), keyOf(b).join("\n")];
  if (one !== other) return one < other ? -1 : 1;
  if (a.version !== b.version) return b.version - a.version;
  return a.id < b.id ? -1 : 1;
}
