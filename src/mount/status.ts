/**
 * What is mounted by sealfs on this machine, as far as this user can know: from the run directory,
 * from the servers themselves, and from the list of mounts.
 *
 * @module
 */
import { NotFoundError } from "../errors.ts";
import { type ContentFigures, contentOf } from "./content.ts";
import { type MountInfo, SOURCE_PREFIX, isSealfs, readMounts } from "./table/mountinfo.ts";
import { type MountReport, isExpired } from "./report/report.ts";
import { askReport } from "./report/report-client.ts";
import { type MountState, isServer, knownDevices, readState, removeState, statePath } from "./table/run-state.ts"; // prettier-ignore

import { mountPoint } from "./table/target.ts";

/**
 * How a mount is. `live`: its server answers. `expired`: that too, and its image's statement has
 * expired, so that it could not be mounted again. `silent`: the server lives and does not answer.
 * `dead`: the server has ended, readers fail. `foreign`: a mount of another user, or from before a
 * change of the run directory, of which only the list of mounts tells.
 */
export type Condition = "live" | "expired" | "silent" | "dead" | "foreign";

/** One mount. */
export interface MountStatus extends Partial<MountReport> {
  readonly condition: Condition;
  readonly target: string;
  /** The image's name; what else is known of it is in `image`. */
  readonly name: string;
  /** Whether it can be seen in this mount namespace. */
  readonly visible: boolean;
  /**
   * What it holds; counted only for mounts that were asked for, and as far as it can be from here.
   */
  readonly content?: ContentFigures;
}

/**
 * Every mount, or those of one image's name or one directory, in the order of their directories.
 * What dead servers have left in the run directory is removed, unless their mount still stands.
 *
 * @throws {@link NotFoundError} `NO_FILE` when `wanted` names none
 */
export async function readStatus(wanted?: string): Promise<MountStatus[]> {
  const mounts = readMounts();
  const all = await Promise.all(knownDevices().map((device) => statusOf(device, mounts)));
  const known = all.filter((status) => status !== undefined);
  const devices = new Set(known.map(({ device }) => device));
  const foreign = mounts
    .filter((mount) => isSealfs(mount) && !devices.has(mount.device))
    .map((mount) => foreignStatus(mount));
  const found = [...known.map(({ status }) => status), ...foreign]
    .filter((status) => wanted === undefined || isWanted(status, wanted))
    .toSorted((a, b) => (a.target < b.target ? -1 : 1));
  if (wanted === undefined) return found;
  if (found.length > 0) return found.map((status) => withContent(status));
  throw new NotFoundError("NO_FILE", `status ${wanted}: no mount of an image or on a directory of that name`); // prettier-ignore
}

function withContent(status: MountStatus): MountStatus {
  const { condition, pid, image, stores } = status;
  if (condition !== "live" && condition !== "expired") return status;
  if (pid === undefined || image === undefined || stores === undefined) return status;
  const content = contentOf({ pid, image, stores });
  return content === undefined ? status : { ...status, content };
}

function isWanted({ target, name, image }: MountStatus, wanted: string): boolean {
  return name === wanted || image?.digest === wanted || target === mountPoint(wanted);
}

async function statusOf(
  device: string,
  mounts: readonly MountInfo[],
): Promise<{ device: string; status: MountStatus } | undefined> {
  const state = readState(device);
  if (state === undefined) return undefined;
  const visible = mounts.some((each) => each.device === device && each.target === state.target);
  const answer = await askReport(statePath(device, "sock"));
  // Without a socket (the disk was full) there is the process to be looked at.
  const isDead = answer === "dead" && !isServer(state);
  if (isDead && !visible) {
    removeState(device, state.pid);
    return undefined;
  }
  const report = typeof answer === "string" ? undefined : answer;
  const known = report ?? state;
  const { target, image } = known;
  const condition = conditionOf(state, report, isDead);
  return { device, status: { condition, name: image.name, visible, ...known, target } };
}

function conditionOf(
  state: MountState,
  report: MountReport | undefined,
  isDead: boolean,
): Condition {
  if (isDead) return "dead";
  if (isExpired(state, new Date())) return "expired";
  return report === undefined ? "silent" : "live";
}

function foreignStatus({ target, source, type }: MountInfo): MountStatus {
  const name = source.startsWith(SOURCE_PREFIX) ? source.slice(SOURCE_PREFIX.length) : source;
  const mode = type === "overlay" ? {} : { mode: "fuse" as const };
  return { condition: "foreign", target, name, visible: true, ...mode };
}
