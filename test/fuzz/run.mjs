/**
 * Runs one fuzz target for some time, guided by coverage, from `corpus/TARGET` and what earlier runs
 * have found (`.fuzz/found/TARGET`). The first input that breaks the target's invariant, that an
 * oracle reads otherwise, or that takes more than ten seconds ends the run. It is kept in
 * `.fuzz/failed/TARGET`, made as small as it can be while it fails in the same way.
 *
 * A target may make inputs anew from a number (`fresh`), and name the size of the blocks that they are
 * made of (`unit`).
 *
 * The oracles of a target (`oracles/`) are asked about every input that does something new, and about
 * one in that many of the others.
 *
 * The loop is our own: the prebuilt engine of jazzer.js needs a newer C library than Debian 12's.
 *
 * Usage: npm run fuzz -- TARGET [SECONDS | FILE…] [--seed N]; with files, only these are run.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { bundle, here, work } from "./bundle.mjs";
import { instrument } from "./instrument.mjs";
import { kindOf, minimise } from "./minimise.mjs";
import { Mutator } from "./mutate.mjs";

const INPUT_SECONDS = 10;
const MINIMISE_SECONDS = 120;
const RSS_BYTES = 2 * 1024 ** 3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: String(Date.now() % 2 ** 32) } },
});
const [target, ...rest] = positionals;
const targets = readdirSync(join(here, "targets")).map((file) => file.replace(/\.ts$/, ""));
if (!targets.includes(target) || !/^\d+$/.test(values.seed)) {
  console.error(
    `usage: npm run fuzz -- TARGET [SECONDS | FILE…] [--seed N]\ntargets: ${targets.join(" ")}`,
  );
  process.exit(2);
}
const seed = Number(values.seed);
const files = rest.filter((argument) => !/^\d+$/.test(argument));
const seconds = Number(rest.find((argument) => /^\d+$/.test(argument)) ?? 60);
const [found, failed] = ["found", "failed"].map((name) => join(work, name, target));
for (const folder of [found, failed]) mkdirSync(folder, { recursive: true });

const path = await bundle(`targets/${target}.ts`);
const { code, branches, words } = instrument(readFileSync(path, "utf8"));
writeFileSync(path, code);
const counts = new Uint8Array(branches);
globalThis.__branches = counts;
const { fuzz, unit, fresh, oracles: known = [] } = createRequire(import.meta.url)(path);

console.log(`${target}: seed ${seed}`);
const oracles = known.filter(({ name, missing }) => {
  const why = missing();
  if (why !== undefined) console.log(`${target}: not compared with ${name}: ${why}`);
  return why === undefined;
});

const nameOf = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
const state = new Int32Array(new SharedArrayBuffer(8)); // attempts, bytes of the input
const input = new Uint8Array(new SharedArrayBuffer(8 * 1024 * 1024));
const workerData = { state, input, file: join(failed, "hang"), seconds: INPUT_SECONDS };
new Worker(new URL("watchdog.mjs", import.meta.url), { workerData }).unref();

let runs = 0;
const compared = new Map(oracles.map(({ name }) => [name, 0]));
/** Classes of counts that a branch has had: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 or more. */
const seen = new Uint8Array(branches);
const classOf = Uint8Array.from({ length: 256 }, (_, n) =>
  n === 0 ? 0 : n < 4 ? 1 << (n - 1) : n < 8 ? 8 : n < 16 ? 16 : n < 32 ? 32 : n < 128 ? 64 : 128,
);

/** What `check` throws of `bytes`; undefined when it passes. */
async function failure(check, bytes) {
  input.set(bytes);
  state[1] = bytes.length;
  Atomics.add(state, 0, 1);
  try {
    await check(Buffer.from(bytes));
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Passes when `check` does. Otherwise the input is kept, and made small, and the run ends. */
async function expectPass(check, bytes) {
  const error = await failure(check, bytes);
  if (error === undefined) return;
  console.error(error);
  const file = join(failed, nameOf(bytes));
  writeFileSync(file, bytes);
  console.error(`failed after ${runs} runs, seed ${seed}: ${bytes.length} bytes: ${file}`);
  const kind = kindOf(error);
  const end = Date.now() + MINIMISE_SECONDS * 1000;
  const small = await minimise(
    bytes,
    async (smaller) => {
      const other = await failure(check, smaller);
      return other !== undefined && kindOf(other) === kind;
    },
    () => Date.now() > end,
  );
  const smallFile = join(failed, `${nameOf(small)}.small`);
  writeFileSync(smallFile, small);
  console.error(await failure(check, small));
  console.error(`minimised: ${small.length} bytes: ${smallFile}`);
  process.exit(1);
}

/** Runs the target; whether it did something that no input did before. */
async function run(bytes) {
  runs++;
  counts.fill(0);
  await expectPass(fuzz, bytes);
  let isNew = false;
  for (let i = 0; i < branches; i++) {
    const bit = classOf[counts[i]];
    if ((seen[i] & bit) === bit) continue;
    seen[i] |= bit;
    isNew = true;
  }
  for (const { name, every, check } of oracles) {
    if (!isNew && files.length === 0 && runs % every !== 0) continue;
    await expectPass(async (input) => {
      if (await check(input)) compared.set(name, compared.get(name) + 1);
    }, bytes);
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
const mutator = new Mutator(seed, words, unit);
const end = Date.now() + (files.length > 0 ? 0 : seconds * 1000);
while (Date.now() < end) {
  // The newest lead on: half of the inputs are made of the last few.
  const recent = mutator.below(2) === 0 ? Math.min(pool.length, 20) : pool.length;
  const bytes =
    fresh !== undefined && mutator.below(20) === 0
      ? fresh(mutator.below(2 ** 31))
      : mutator.mutate(pool.at(-1 - mutator.below(recent)), pool[mutator.below(pool.length)]);
  if (await run(bytes)) {
    pool.push(bytes);
    writeFileSync(join(found, nameOf(bytes)), bytes);
  }
  if (runs % 100 !== 0) continue;
  // What targets leave for later, as zlib does, has to come about some time.
  await setImmediate();
  if (process.memoryUsage.rss() > RSS_BYTES) {
    console.error(`over ${RSS_BYTES} bytes of memory after ${runs} runs, seed ${seed}`);
    process.exit(1);
  }
}
const covered = seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0);
console.log(`${target}: ${runs} runs, ${pool.length} inputs, ${covered} of ${branches} branches`);
for (const [name, times] of compared) console.log(`${target}: ${times} compared with ${name}`);
process.exit(0);
