/**
 * What `sealfs mount` and `sealfs pull --mount` print.
 *
 * @module
 */
import type { Mount } from "../../mount/mount-image.ts";

/** What is mounted where, the way, and the promise. */
export function mountedLine(name: string, { target, mode, transport, promise }: Mount): string {
  const way = mode === "fuse" ? `${mode} over ${transport}` : mode;
  return `mounted ${name} on ${target} (${way}, ${promise})`;
}
