/**
 * `quarantine/`: files that were moved out of their place. Wrong ones stay there to be examined;
 * those that gc removes pass through under `gc-…` names, so that a gc that was killed leaves
 * nothing half removed under the name of an object.
 *
 * Spec: docs/store.md, "Quarantine".
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import { QUARANTINE } from "./layout.ts";
import type { Store } from "./store.ts";

const LEAVING = "gc-";

/** Moves a file or directory that is wrong out of its place; returns its new name in the store. */
export function quarantine({ files }: Store, name: string, label = basename(name)): string {
  files.makeDirectory(QUARANTINE); // a store of another tool has none
  const to = `${QUARANTINE}/${label}.${randomBytes(6).toString("hex")}`;
  files.rename(name, to);
  return to;
}

/**
 * Removes objects, by digest and name, by way of the quarantine: all are renamed before the first
 * is removed.
 */
export function removeObjects({ files }: Store, objects: ReadonlyMap<string, string>): void {
  if (objects.size === 0) return;
  files.makeDirectory(QUARANTINE);
  const leaving = (digest: string) => `${QUARANTINE}/${LEAVING}${digest}`;
  for (const [digest, name] of objects) files.rename(name, leaving(digest));
  // Anything can stand in an object's place, a directory too.
  for (const digest of objects.keys()) files.removeTree(leaving(digest));
}

/** What an emptied quarantine held. */
export interface Emptied {
  readonly files: number;
  readonly bytes: number;
}

/** Removes what an interrupted gc left, or with `all` everything. */
export function emptyQuarantine({ files }: Store, all: boolean, dryRun: boolean): Emptied {
  let count = 0;
  let bytes = 0;
  for (const entry of files.names(QUARANTINE)) {
    if (!all && !entry.startsWith(LEAVING)) continue;
    const name = `${QUARANTINE}/${entry}`;
    count += 1;
    bytes += files.stat(name)?.size ?? 0;
    if (!dryRun) files.removeTree(name);
  }
  return { files: count, bytes };
}
