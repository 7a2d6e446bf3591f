/**
 * What is remembered of a running mount, for who comes to end it: a small file in a directory that
 * does not outlive the machine's uptime, named by the mount's device number.
 *
 * @module
 */
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { SystemError } from "../errors.ts";

/** A running mount. */
export interface MountState {
  /** The server process. */
  readonly pid: number;
  readonly target: string;
}

/**
 * The directory for state and logs, made when missing: `/run/sealfs`, the user's own, or where these
 * are somebody else's (as for root of a user namespace) one among the temporary files.
 *
 * @throws {@link SystemError} `PERMISSION` when somebody else has made that too
 */
export function stateDirectory(): string {
  const uid = process.geteuid?.() ?? 0;
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const fallback = `${tmpdir()}/sealfs-${uid}`;
  const paths = [fallback];
  if (uid === 0) paths.unshift("/run/sealfs");
  else if (runtime !== undefined && runtime !== "") paths.unshift(`${runtime}/sealfs`);
  const path = paths.find((each) => isOwn(each, uid));
  if (path !== undefined) return path;
  throw new SystemError("PERMISSION", `${fallback}: belongs to somebody else`);
}

/** Whether the directory is there, or could be made, and belongs to this user. */
function isOwn(path: string, uid: number): boolean {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === uid;
  } catch {
    return false;
  }
}

/** The file of the mount with this device number that ends in `.json` (state) or `.log`. */
export function statePath(device: string, suffix: "json" | "log"): string {
  return `${stateDirectory()}/${device.replace(":", "-")}.${suffix}`;
}

export function writeState(device: string, state: MountState): void {
  writeFileSync(statePath(device, "json"), JSON.stringify(state), { mode: 0o600 });
}

/** What is known of the mount with this device number; undefined when nothing is. */
export function readState(device: string): MountState | undefined {
  try {
    const state = JSON.parse(readFileSync(statePath(device, "json"), "utf8")) as MountState;
    const known = Number.isSafeInteger(state.pid) && state.pid > 1;
    return known && typeof state.target === "string" ? state : undefined;
  } catch {
    return undefined;
  }
}

export function removeState(device: string): void {
  rmSync(statePath(device, "json"), { force: true });
}
