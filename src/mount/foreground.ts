/**
 * A mount in the foreground: it lives as long as this process, and this process as long as its
 * parent.
 *
 * @module
 */
import type { Mount } from "./mount-image.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** How often to look whether the parent is still there: Node hears nothing of its death. */
const PARENT_MS = 250;

// As early as this module is loaded: the parent may be gone by the time the mount is live.
const parentAtStart = process.ppid;

/** Waits for the end of `mount`; ends it on a signal and on the parent's death. */
export async function holdMount(mount: Mount): Promise<boolean> {
  const end = () => mount.end();
  for (const signal of signals) process.on(signal, end);
  const watch = setInterval(() => {
    if (process.ppid !== parentAtStart) end();
  }, PARENT_MS);
  try {
    return await mount.ended;
  } finally {
    clearInterval(watch);
    for (const signal of signals) process.removeListener(signal, end);
  }
}
