/**
 * Processes, found by their arguments in /proc: procps need not be installed.
 *
 * @module
 */
import { readFileSync, readdirSync } from "node:fs";

/** Processes that have this text in one of their arguments: each its id and its arguments. */
export function processesOf(text: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (words.some((word) => word.includes(text))) found.push(`${pid} ${words.join(" ")}`);
    } catch {
      // it has ended meanwhile
    }
  }
  return found;
}

/** The server of a mount. */
export function serverOf(target: string): number {
  const servers = processesOf(JSON.stringify(target)).filter((each) => each.includes("server"));
  const [pid] = servers[0]?.split(" ") ?? [];
  if (pid === undefined) throw new Error(`no server of ${target}`);
  return Number(pid);
}
