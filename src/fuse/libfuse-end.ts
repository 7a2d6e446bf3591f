/**
 * The end of a connection that libfuse serves, which fuse-native does not tell: libfuse closes its
 * /dev/fuse then. The mount itself must not be looked at from here. A server that is killed while it
 * waits for an answer of its own can neither give it nor die.
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 200;

/** Resolves when this process has no connection any more. */
export async function whenDisconnected(): Promise<void> {
  const descriptors = readdirSync("/proc/self/fd").filter(isConnection);
  while (descriptors.some(isConnection)) await sleep(LOOK_MS);
}

function isConnection(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`) === "/dev/fuse";
  } catch {
    return false; // closed
  }
}
