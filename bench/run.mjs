/**
 * Runs the benchmarks one after the other, or those that are named. Each compares with its reference
 * tool in alternation, and prints medians and ratios.
 *
 * Usage: npm run bench [-- NAME...]
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const all = [
  "writer",
  "reader",
  "tar",
  "layer",
  "build",
  "rebuild",
  "mount",
  "verify",
  "store",
  "fetch",
  "seek",
];
const named = process.argv.slice(2);
const unknown = named.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`bench: ${unknown.join(", ")}: expected some of ${all.join(", ")}`);
  process.exitCode = 2;
} else {
  for (const name of named.length > 0 ? named : all) {
    console.log(`\n== ${name}`);
    const script = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
    const { status } = spawnSync(process.execPath, [script], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
}
