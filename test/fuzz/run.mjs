/**
 * Runs one fuzz target for some time, guided by coverage, from `corpus/TARGET` and what earlier runs
 * have found (`.fuzz/found/TARGET`). The first input that breaks the target's invariant, or takes
 * more than ten seconds, is kept in `.fuzz/failed/TARGET`, and ends the run.
 *
 * The loop is our own: the prebuilt engine of jazzer.js needs a newer C library than Debian 12's.
 *
 * Usage: npm run fuzz -- TARGET [SECONDS | FILE…]; with files, only these are run.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { bundle, here, work } from "./bundle.mjs";
import { instrument } from "./instrument.mjs";
import { Mutator } from "./mutate.mjs";

const INPUT_SECONDS = 10;
const RSS_BYTES = 2 * 1024 ** 3;

const [target, ...rest] = process.argv.slice(2);
const targets = readdirSync(join(here, "targets")).map((file) => file.replace(/\.ts$/, ""));
if (!targets.includes(target)) {
  console.error(`usage: npm run fuzz -- TARGET [SECONDS | FILE…]\ntargets: ${targets.join(" ")}`);
  process.exit(2);
}
const files = rest.filter((argument) => !/^\d+$/.test(argument));
const seconds = Number(rest.find((argument) => /^\d+$/.test(argument)) ?? 60);
const [found, failed] = ["found", "failed"].map((name) => join(work, name, target));
for (const folder of [found, failed]) mkdirSync(folder, { recursive: true });

const path = await bundle(`targets/${target}.ts`);
const { code, branches, words } = instrument(readFileSync(path, "utf8"));
writeFileSync(path, code);
const counts = new Uint8Array(branches);
globalThis.__branches = counts;
const { fuzz } = createRequire(import.meta.url)(path);

const nameOf = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
const state = new Int32Array(new SharedArrayBuffer(8)); // runs, bytes of the input
const input = new Uint8Array(new SharedArrayBuffer(8 * 1024 * 1024));
const workerData = { state, input, file: join(failed, "hang"), seconds: INPUT_SECONDS };
new Worker(new URL("watchdog.mjs", import.meta.url), { workerData }).unref();

/** Classes of counts that a branch has had: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 or more. */
const seen = new Uint8Array(branches);
const classOf = Uint8Array.from({ length: 256 }, (_, n) =>
  n === 0 ? 0 : n < 4 ? 1 << (n - 1) : n < 8 ? 8 : n < 16 ? 16 : n < 32 ? 32 : n < 128 ? 64 : 128,
);

/** Runs the target; whether it did something that no input did before. */
async function run(bytes) {
  counts.fill(0);
  input.set(bytes);
  state[1] = bytes.length;
  Atomics.add(state, 0, 1);
  try {
    await fuzz(Buffer.from(bytes));
  } catch (error) {
    const file = join(failed, nameOf(bytes));
    writeFileSync(file, bytes);
    console.error(error);
    console.error(`failed after ${state[0]} runs: ${file}`);
    process.exit(1);
  }
  let isNew = false;
  for (let i = 0; i < branches; i++) {
    const bit = classOf[counts[i]];
    if ((seen[i] & bit) === bit) continue;
    seen[i] |= bit;
    isNew = true;
  }
  return isNew;
}

const folderOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder)
        .sort()
        .map((name) => join(folder, name))
    : [];
const first =
  files.length > 0 ? files : [...folderOf(join(here, "corpus", target)), ...folderOf(found)];
const pool = [];
for (const file of first) {
  const bytes = readFileSync(file);
  if ((await run(bytes)) || pool.length === 0) pool.push(bytes);
}
if (pool.length === 0) pool.push(Buffer.alloc(0));
const mutator = new Mutator(Date.now(), words);
const end = Date.now() + (files.length > 0 ? 0 : seconds * 1000);
while (Date.now() < end) {
  // The newest lead on: half of the inputs are made of the last few.
  const recent = mutator.below(2) === 0 ? Math.min(pool.length, 20) : pool.length;
  const bytes = mutator.mutate(
    pool.at(-1 - mutator.below(recent)),
    pool[mutator.below(pool.length)],
  );
  if (await run(bytes)) {
    pool.push(bytes);
    writeFileSync(join(found, nameOf(bytes)), bytes);
  }
  if (state[0] % 500 === 0 && process.memoryUsage.rss() > RSS_BYTES) {
    console.error(`over ${RSS_BYTES} bytes of memory after ${state[0]} runs`);
    process.exit(1);
  }
}
const covered = seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0);
console.log(
  `${target}: ${state[0]} runs, ${pool.length} inputs, ${covered} of ${branches} branches`,
);
process.exit(0);
