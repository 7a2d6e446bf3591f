/**
 * The run directory: what is known of each running mount, for commands that show or end it.
 * Its files are named by the mount's device number and do not outlive the machine's uptime:
 *
 * ```
 * /run/sealfs/0-55.json   what does not change while the mount lives
 * /run/sealfs/0-55.sock   where its server answers (see report-server.ts)
 * /run/sealfs/0-55.4711.log   the log, when it is in the background and was given no other; with the
 *                             number of its server, because the next mount may get this device number
 *                             before the server has ended
 * ```
 *
 * @module
 */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { SystemError } from "../../errors.ts";
import { replaceFile } from "../../fs/atomic-file.ts";
import { makePrivateDirectories } from "../../fs/directory.ts";
import { isOwnDirectory, outerUid, userStateDirectory } from "../../fs/own-directory.ts";
import type { TransportName } from "../../fuse/transport.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { MountPromise, Mode } from "./modes.ts";

/** What was signed about the image that is mounted. */
export interface SignedImage {
  readonly name: string;
  readonly digest: VerityDigest;
  readonly version: number;
  /** Times as in RFC 3339. */
  readonly created: string;
  readonly expires: string;
  /** The trusted keys that signed it. */
  readonly signedBy: readonly string[];
}

/** A running mount, as its server describes it once. */
export interface MountState {
  /** The server process. */
  readonly pid: number;
  readonly target: string;
  readonly image: SignedImage;
  readonly mode: Mode;
  readonly promise: MountPromise;
  /** How FUSE is spoken, where it is. */
  readonly transport?: TransportName;
  readonly stores: readonly string[];
  /** Directories for changes, without symlinks. */
  readonly writable?: { readonly upper: string; readonly work: string };
  /** When it was mounted, as in RFC 3339. */
  readonly since: string;
  readonly log?: string;
}

/**
 * The directory for state and logs, made when missing: for root `/run/sealfs`, else
 * `$XDG_RUNTIME_DIR/sealfs`, else one among the temporary files, else `run` in the state directory.
 * The first counts that is the user's own, so that nobody can keep a user from mounting, or get at
 * their files, by taking a name first. Root of a user namespace is the user who made it.
 *
 * @throws {@link SystemError} `PERMISSION` when all of them belong to other users
 */
export function stateDirectory(): string {
  const uid = process.geteuid?.() ?? 0;
  const runtime = process.env["XDG_RUNTIME_DIR"] ?? "";
  const paths = [
    ...(uid === 0 ? ["/run/sealfs"] : []),
    ...(runtime.startsWith("/") ? [`${runtime}/sealfs`] : []),
    `${tmpdir()}/sealfs-${outerUid(uid)}`,
  ];
  const path = paths.find((each) => isOwnDirectory(each, uid)) ?? lastDirectory(uid);
  if (path !== undefined) return path;
  throw new SystemError("PERMISSION", `${paths.join(", ")}: belong to other users`, {
    hint: "name a directory of your own in XDG_RUNTIME_DIR",
  });
}

/** Where nobody else can write at all, but where files outlive the machine's uptime. */
function lastDirectory(uid: number): string | undefined {
  const state = userStateDirectory();
  try {
    makePrivateDirectories(state);
  } catch {
    return undefined;
  }
  return [`${state}/run`].find((each) => isOwnDirectory(each, uid));
}

/** The file of the mount with this device number: its state, its server's socket. */
export function statePath(device: string, suffix: "json" | "sock"): string {
  return `${stateDirectory()}/${device.replace(":", "-")}.${suffix}`;
}

/**
 * The log of the server `pid`. Those that dead servers of earlier mounts with this device number have left
 * are removed, as well as an older one of this name.
 */
export function newLogPath(device: string, pid: number): string {
  const directory = stateDirectory();
  const name = (number: number) => `${device.replace(":", "-")}.${number}.log`;
  for (const file of readdirSync(directory)) {
    const other = Number(/\.(\d+)\.log$/.exec(file)?.[1]);
    if (file === name(other) && (other === pid || !isAlive(other))) {
      rmSync(`${directory}/${file}`, { force: true });
    }
  }
  return `${directory}/${name(pid)}`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

export function writeState(device: string, state: MountState): void {
  const path = statePath(device, "json");
  replaceFile(path, JSON.stringify(state), { mode: 0o600, sync: false });
}

/**
 * What is known of the mount with this device number; undefined when that is nothing, or not
 * enough.
 */
export function readState(device: string): MountState | undefined {
  try {
    const state = JSON.parse(readFileSync(statePath(device, "json"), "utf8")) as MountState;
    const known = Number.isSafeInteger(state.pid) && state.pid > 1;
    const signed: Partial<SignedImage> | undefined = state.image;
    const whole = typeof state.target === "string" && typeof signed?.expires === "string";
    return known && whole ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Device numbers of the mounts of which something is known. */
export function knownDevices(): string[] {
  return readdirSync(stateDirectory()).flatMap((name) => {
    const [, major, minor] = /^(\d+)-(\d+)\.json$/.exec(name) ?? [];
    return minor === undefined ? [] : [`${major}:${minor}`];
  });
}

/**
 * Forgets the mount of the server `pid`; its log stays. Once a mount has gone its number may be that of
 * another, whose files these are then.
 */
export function removeState(device: string, pid: number): void {
  if (readState(device)?.pid !== pid) return;
  for (const suffix of ["json", "sock"] as const)
    rmSync(statePath(device, suffix), { force: true });
}

/**
 * Whether the process is still the server: not gone, no zombie, and no other that got its number.
 */
export function isServer({ pid, target }: Pick<MountState, "pid" | "target">): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(JSON.stringify(target));
  } catch {
    return false;
  }
}
