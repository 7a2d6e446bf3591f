/**
 * What this machine's kernel has.
 *
 * @module
 */
import { accessSync, readFileSync } from "node:fs";
import { hasLibc } from "../../src/sys/koffi.ts";

/** Why the kernel stack cannot be tested here; undefined when it can. */
export function noKernelStack(): string | undefined {
  if (process.geteuid?.() !== 0) return "not root";
  if (!hasLibc()) return "koffi is missing";
  const known = readFileSync("/proc/filesystems", "utf8");
  for (const name of ["erofs", "overlay"]) {
    if (!new RegExp(`\\b${name}$`, "m").test(known)) return `this kernel has no ${name}`;
  }
  try {
    accessSync("/dev/loop-control");
    return undefined;
  } catch {
    return "no loop devices";
  }
}
