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
import { lstatSync, renameSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { makeDirectory } from "../fs/directory.ts";
import { entriesOf } from "./object-names.ts";
import type { Store } from "./store.ts";

const LEAVING = "gc-";

/** The directory; it is made in a store of another tool, which has none. */
function quarantineOf(store: Store): string {
  const directory = `${store.path}/quarantine`;
  makeDirectory(directory);
  return directory;
}

/** Moves a file or directory that is wrong out of its place; returns its new path. */
export function quarantine(store: Store, path: string, label = basename(path)): string {
  const to = `${quarantineOf(store)}/${label}.${randomBytes(6).toString("hex")}`;
  renameSync(path, to);
  return to;
}

/** Removes objects by way of the quarantine: all are renamed before the first is removed. */
export function removeObjects(store: Store, paths: ReadonlyMap<string, string>): void {
  if (paths.size === 0) return;
  const directory = quarantineOf(store);
  for (const [digest, path] of paths) renameSync(path, `${directory}/${LEAVING}${digest}`);
  for (const digest of paths.keys()) remove(`${directory}/${LEAVING}${digest}`);
}

/** What an emptied quarantine held. */
export interface Emptied {
  readonly files: number;
  readonly bytes: number;
}

/** Removes what an interrupted gc left, or with `all` everything. */
export function emptyQuarantine(store: Store, all: boolean, dryRun: boolean): Emptied {
  const directory = `${store.path}/quarantine`;
  let files = 0;
  let bytes = 0;
  for (const name of entriesOf(directory)) {
    if (!all && !name.startsWith(LEAVING)) continue;
    const path = `${directory}/${name}`;
    files += 1;
    bytes += lstatSync(path).size;
    if (!dryRun) remove(path);
  }
  return { files, bytes };
}

/** Anything can stand in an object's place, a directory too. */
function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
