/**
 * What the benchmarks share: running commands, finding reference tools, numbers.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const sealfs = join(root, "bin/sealfs.js");

/** Where a reference tool is: on PATH, or where .ci/oracles puts it; undefined when it is not. */
export function oracle(name) {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folders = [...process.env.PATH.split(delimiter), join(cache, "sealfs-oracle/bin")];
  return folders.map((path) => join(path, name)).find((path) => existsSync(path));
}

/** Runs a command to its good end and returns what it printed. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 30, ...options });
  if (result.status === 0) return result.stdout;
  throw new Error(`${command} ${args.join(" ")}: ${result.error ?? result.stderr}`);
}

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** How long `work` takes, in microseconds. */
export function microseconds(work) {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1000;
}

/** Numbers from 0 up to, not including, `below`: the same ones in every run. */
export function randomNumbers(seed = 12345) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
