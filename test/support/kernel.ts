/**
 * What this machine's kernel has.
 *
 * @module
 */
import {
  accessSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
} from "node:fs";
import { hasLibc } from "../../src/sys/koffi.ts";

/** The loop devices that hold these bytes; other tests may have some of their own. */
export function loopsOf(image: Uint8Array): string[] {
  const found: string[] = [];
  for (const name of readdirSync("/sys/block")) {
    if (!existsSync(`/sys/block/${name}/loop/backing_file`)) continue;
    const bytes = Buffer.alloc(image.length);
    try {
      const fd = openSync(`/dev/${name}`, "r");
      readSync(fd, bytes, 0, bytes.length, 0);
      closeSync(fd);
    } catch {
      continue; // gone meanwhile
    }
    if (bytes.equals(image)) found.push(name);
  }
  return found;
}

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
