/**
 * What `sealfs status` tells of mounts.
 *
 * @module
 */
import { expect } from "vitest";
import type { MountStatus } from "../../src/mount/status.ts";
import { sealfsOk } from "./run.ts";
import { until } from "./until.ts";

/** The mounts of an image or on a directory; all of them without a name. */
export const statusNow = (...wanted: string[]): MountStatus[] =>
  JSON.parse(sealfsOk(["status", ...wanted, "--json"]).stdout) as MountStatus[];

/** The one mount of that name; a server that is kept waiting by a busy machine is asked again. */
export async function statusOf(wanted: string): Promise<MountStatus> {
  let found: MountStatus;
  await until(() => {
    const [first, ...more] = statusNow(wanted);
    expect(more).toEqual([]);
    found = first!;
    return found.condition !== "silent";
  });
  return found!;
}
