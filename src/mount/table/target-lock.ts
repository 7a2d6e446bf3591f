/**
 * One mount at a time on a directory. Each looks whether the directory is free and mounts a moment later;
 * without a lock several that start at the same time would lie on one another.
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemError } from "../../errors.ts";
import { flock } from "../../sys/flock.ts";
import { mountAt } from "./mountinfo.ts";

/** How long another one may take to mount. */
const MOST_MS = 60_000;
const STEP_MS = 10;

/**
 * Waits for the turn to mount on `target`; the turn ends with the returned function.
 *
 * @param below What was mounted there when the directory was found free: a mount's id, or undefined. Null
 *   when it does not matter.
 * @throws {@link SystemError} `BUSY` when something else has been mounted there since
 */
export async function takeTurn(
  target: string,
  below: number | undefined | null,
): Promise<() => void> {
  let fd = openToLock(target);
  const end = () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  try {
    for (let waited = 0; fd !== undefined && flock(fd, "exclusive") === "busy"; waited += STEP_MS) {
      if (waited >= MOST_MS)
        throw busy(target, "another mount has been starting there for a minute");
      await sleep(STEP_MS);
    }
    if (below === null || mountAt(target)?.id === below) return end;
    throw busy(target, "something else was mounted there at the same time");
  } catch (error) {
    end();
    throw error;
  }
}

/** Undefined for a directory that this user may mount on and not read. */
function openToLock(target: string): number | undefined {
  try {
    return openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return undefined;
  }
}

function busy(target: string, what: string): SystemError {
  return new SystemError("BUSY", `mount point ${target}: ${what}`, {
    hint: `sealfs status ${target} tells about a mount of sealfs`,
  });
}
