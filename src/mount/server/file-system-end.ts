/**
 * The end of a mount that the kernel serves alone. A directory watch (inotify) ends when the file
 * system is shut down: when its last mount, in any mount namespace, is unmounted and no longer in use.
 * So nothing has to be polled. Not for a file system that this very process serves: watching it asks
 * for its attributes.
 *
 * @module
 */
import { type FSWatcher, readFileSync, readdirSync, readlinkSync, watch } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { mountAt } from "../table/mountinfo.ts";

/** How often to look where directories cannot be watched. */
const POLL_MS = 1000;

/** Resolves when the file system that is mounted on `target` now is no more. */
export async function whenEnded(target: string): Promise<void> {
  const device = mountAt(target)?.device;
  if (device === undefined) return;
  let watcher: FSWatcher;
  try {
    watcher = watch(`${target}/.`);
  } catch {
    // too many watches on this machine, or it has ended already
    while (mountAt(target)?.device === device) await sleep(POLL_MS);
    return;
  }
  await new Promise<void>((resolve) => {
    const look = () => {
      if (!isWatched(device)) resolve();
    };
    watcher.on("change", look).on("error", () => resolve());
    look(); // it may have ended before it was watched
  });
  watcher.close();
}

/** Whether this process watches something on the device: the kernel lists what is left. */
function isWatched(device: string): boolean {
  const [major, minor] = device.split(":").map(Number);
  const sdev = (((major ?? 0) << 20) | (minor ?? 0)).toString(16);
  const line = new RegExp(`^inotify .*\\bsdev:0*${sdev} `, "m");
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (!readlinkSync(`/proc/self/fd/${fd}`).endsWith(":inotify")) continue;
      if (line.test(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))) return true;
    } catch {
      // closed meanwhile
    }
  }
  return false;
}
