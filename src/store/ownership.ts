/**
 * Whose a store is. Root can write to anybody's, but what its owner makes of it meanwhile is theirs
 * to decide: the superuser has to say that this is wanted.
 *
 * Spec: docs/store.md, "Trust".
 *
 * @module
 */
import type { HeldDirectory } from "../fs/held-directory.ts";
import { storeDirectories } from "./layout.ts";
import { statOf } from "./stat-of.ts";

const ROOT = 0;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;

/**
 * Who besides root may change what lies in a store, for a message; undefined when nobody may, or
 * this process is not root's.
 */
export function foreignOwner(files: HeldDirectory): string | undefined {
  if (process.geteuid?.() !== ROOT) return undefined;
  for (const name of ["", ...storeDirectories]) {
    const stat = statOf({ files }, name);
    if (stat?.isDirectory() !== true) continue; // not made yet; or refused when it is used
    const path = files.pathOf(name);
    if (stat.uid !== ROOT) return `${path} belongs to the user ${stat.uid}`;
    if ((stat.mode & OTHERS_WRITE) !== 0) return `everybody can write to ${path}`;
    if ((stat.mode & GROUP_WRITES) !== 0 && stat.gid !== ROOT) {
      return `the group ${stat.gid} can write to ${path}`;
    }
  }
  return undefined;
}

/**
 * The mode of a store's lock files and leases: for those who can write to the store. Whoever can
 * open a file can lock it, and keep others waiting.
 */
export function lockMode(files: HeldDirectory): number {
  const mode = files.stat("")?.mode ?? 0;
  return (
    0o600 | ((mode & GROUP_WRITES) !== 0 ? 0o060 : 0) | ((mode & OTHERS_WRITE) !== 0 ? 0o006 : 0)
  );
}
