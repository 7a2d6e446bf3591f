/**
 * The end of a connection that libfuse serves, which fuse-native does not report: libfuse closes its
 * /dev/fuse then. The mount itself must not be looked at from here. A server that is killed while it
 * waits for an answer of its own can neither give it nor die.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isDevFuse } from "../dev-fuse.ts";

/** How often the end of the connection is checked for. */
const LOOK_MS = 200;

/** Resolves when this process has no connection any more. */
export async function whenDisconnected(): Promise<void> {
  const descriptors = readdirSync("/proc/self/fd").map(Number).filter(isConnection);
  while (descriptors.some(isConnection)) await sleep(LOOK_MS);
}

function isConnection(descriptor: number): boolean {
  try {
    return isDevFuse(descriptor);
  } catch {
    return false; // closed
  }
}
