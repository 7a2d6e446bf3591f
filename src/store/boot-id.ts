/**
 * The kernel's id of the running boot.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** `unknown` where the kernel does not tell. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "unknown";
  }
}
