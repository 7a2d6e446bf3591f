/**
 * What the server process of a mount uses.
 *
 * @module
 */
import { readFileSync, readdirSync } from "node:fs";

/** The server of the mount at `mnt`; undefined when it has none. */
export function serverOf(mnt) {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const isServer = words.some((word) => word.endsWith("/mount/server/server.js"));
      if (isServer && words.includes(JSON.stringify(mnt))) return Number(pid);
    } catch {
      // gone meanwhile
    }
  }
  return undefined;
}

/** Bytes that are resident, and the same with what is shared counted in part. */
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const of = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)[1]) * 1024;
  return { rss: of("Rss"), pss: of("Pss") };
}
