/**
 * Which processes hold a lock of flock(2) on a file.
 *
 * Spec: proc(5), `/proc/locks`.
 *
 * @module
 */
import { readFileSync } from "node:fs";

const FIELD = /\s+/;

/** Process ids, as far as the kernel tells them. */
export function lockHolders({
  dev,
  ino,
}: {
  readonly dev: number;
  readonly ino: number;
}): number[] {
  let text: string;
  try {
    text = readFileSync("/proc/locks", "latin1");
  } catch {
    return [];
  }
  const file = `${hex(major(dev))}:${hex(minor(dev))}:${ino}`;
  const pids = new Set<number>();
  for (const line of text.split("\n")) {
    // Those that wait have "->" in the second place.
    const [, kind, , , pid, place] = line.trim().split(FIELD);
    if (kind === "FLOCK" && place === file && Number(pid) > 0) pids.add(Number(pid));
  }
  return [...pids];
}

const hex = (value: number) => value.toString(16).padStart(2, "0");

// How the C library packs a device number.
const major = (dev: number) => Math.floor(dev / 256) % 4096;
const minor = (dev: number) => (dev % 256) + Math.floor(dev / 1048576) * 256;
