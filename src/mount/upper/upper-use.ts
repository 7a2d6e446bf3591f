/**
 * Who uses the directories of a writable mount. Overlayfs lets two mounts have the same ones and leaves
 * the result undefined, so here the second is refused: by a lock on both directories, which a server
 * holds while it lives, and by the kernel's own mark, which also tells of mounts whose server was killed
 * and of those of other programs.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SealfsError, SystemError } from "../../errors.ts";
import { flock } from "../../sys/flock.ts";
import { newMount } from "../../sys/fsmount.ts";
import type { OpenPlaces, WritablePlaces } from "./upper-places.ts";

/** A mount that has just been ended may take so long to let go. */
const ENDING_MS = 3000;
const STEP_MS = 20;

/**
 * Takes both directories for this process, as long as their descriptors are open.
 *
 * @throws {@link SystemError} `BUSY` when another mount has one of them
 */
export async function takePlaces(open: OpenPlaces, paths: WritablePlaces): Promise<void> {
  for (let waited = 0; ; waited += STEP_MS) {
    const free = (fd: number) => flock(fd, "exclusive") !== "busy";
    const isLocked = !free(open.upper) || !free(open.work);
    const used = (["upper", "work"] as const).find((name) => isInUse(open[name]));
    if (!isLocked && used === undefined) return;
    const isLive = isLocked && used !== undefined;
    if (isLive || waited >= ENDING_MS) {
      const name = used ?? "upper";
      throw new SystemError("BUSY", `--${name} ${paths[name]}: another mount uses it`, {
        hint: "end that one first (sealfs status lists mounts), or give each mount directories of its own",
      });
    }
    await sleep(STEP_MS);
  }
}

/**
 * Whether an overlay has the directory as its upper or work directory. With `index=on` the kernel
 * refuses such a one first; the trial then fails in any case, because the same directory cannot be both,
 * before anything is written.
 */
export function isInUse(fd: number): boolean {
  const path = `/proc/thread-self/fd/${fd}`;
  try {
    const mount = newMount("overlay", 0, (context) =>
      context
        .setString("lowerdir", path)
        .setString("upperdir", path)
        .setString("workdir", path)
        .setString("index", "on"),
    );
    closeSync(mount);
    return false;
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    return error.code === "BUSY";
  }
}
