/**
 * Directories for what this user's programs leave for one another: nobody else may own them, or put
 * another in their place.
 *
 * @module
 */
import { type Stats, lstatSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { stateHome } from "./home.ts";

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** How the owner of a file appears in a user namespace that has no number for them. */
const OVERFLOW_UID = 65534;

/**
 * Whether the directory is there, or could be made, belongs to this user, and is where only this
 * user and root can have put it. A symlink is not taken for a directory.
 */
export function isOwnDirectory(path: string, uid: number): boolean {
  try {
    if (!isSafeParent(statSync(dirname(path)), uid)) return false;
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch {
      // there already, or not to be made: the next line tells
    }
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === uid && (stat.mode & OTHERS_WRITE) === 0;
  } catch {
    return false;
  }
}

/** Whether a file or directory belongs to this user or root, and nobody else can write to it. */
export function isOnlyOwn({ uid: owner, mode }: Stats, uid: number): boolean {
  return (owner === uid || owner === 0) && (mode & OTHERS_WRITE) === 0;
}

/** Whether only this user and root can rename what this user has in the directory. */
function isSafeParent({ uid: owner, mode }: Stats, uid: number): boolean {
  if (owner !== uid && owner !== 0 && owner !== OVERFLOW_UID) return false;
  return (mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0;
}

/**
 * The user's number outside of a user namespace: in one of their own everybody is root.
 *
 * Spec: user_namespaces(7), "User and group ID mappings".
 */
export function outerUid(uid: number, map = readUidMap()): number {
  for (const line of map.trim().split("\n")) {
    const [inside = NaN, outside = NaN, count = NaN] = line.trim().split(/\s+/).map(Number);
    if (uid >= inside && uid < inside + count) return outside + uid - inside;
  }
  return uid;
}

function readUidMap(): string {
  try {
    return readFileSync("/proc/self/uid_map", "latin1");
  } catch {
    return "";
  }
}

/** `$XDG_STATE_HOME/sealfs`, or `~/.local/state/sealfs`. */
export function userStateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(stateHome(env), "sealfs");
}

/** The state directory of root, which root of a user namespace may not have. */
export function rootStateDirectory(): string | undefined {
  const path = "/var/lib/sealfs";
  const parent = statSync(dirname(path), { throwIfNoEntry: false });
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return parent === undefined || parent.uid === 0 ? path : undefined;
  return stat.isDirectory() && stat.uid !== 0 ? undefined : path;
}
