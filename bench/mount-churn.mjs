/**
 * A mount that is used without a pause: names looked up and forgotten, files read whole, at random and
 * past the page cache, directories listed. Its server's memory is noted all the time; printed are
 * first, last and most, a sample of each twelfth, and the slope over the second half. Needs root and dist/ (npm run build).
 *
 * Usage: node bench/mount-churn.mjs [--minutes N] [--mode fuse|hybrid] [--files N] [--bed DIR]
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mountBed } from "./support/bed.mjs";
import { memoryOf, serverOf } from "./support/memory.mjs";
import { sealfsSystem } from "./support/systems.mjs";
import { randomNumbers } from "./support/tools.mjs";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "3" },
    mode: { type: "string", default: "fuse" },
    files: { type: "string", default: "20000" },
    bed: { type: "string" },
  },
});
const minutes = Number(options.minutes);
const folder = options.bed ?? mkdtempSync(join(tmpdir(), "sealfs-bench-"));
const MIB = 1 << 20;
const SAMPLES = 120;
/** Between two samples nothing but requests. */
const every = (minutes * 60_000) / SAMPLES;

// Direct I/O asks the server for every block again.
const block = Buffer.alloc(256 * 1024);

function readFile(path, flags = constants.O_RDONLY) {
  const fd = openSync(path, flags);
  try {
    while (readSync(fd, block, 0, block.length, null) > 0);
  } finally {
    closeSync(fd);
  }
}

/** A few hundred requests of all kinds. */
function churn(mnt, { paths, directories }, random) {
  for (let i = 0; i < 100; i++) {
    const path = join(mnt, paths[random(paths.length)]);
    lstatSync(path);
    lstatSync(`${path}-${random(1e9)}`, { throwIfNoEntry: false });
    readFile(path, constants.O_RDONLY | constants.O_DIRECT);
  }
  for (let i = 0; i < 10; i++) readdirSync(join(mnt, directories[random(directories.length)]));
  if (random(50) === 0) readFile(join(mnt, "large"), constants.O_RDONLY | constants.O_DIRECT);
  // The kernel forgets names and what it knows of them, and asks again.
  if (random(20) === 0) spawnSync("mount", ["-o", "remount", mnt], { stdio: "ignore" });
}

/** MiB per hour by least squares. */
function slopeOf(samples) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const hours = samples.map(({ at }) => at / 3_600_000);
  const sizes = samples.map(({ pss }) => pss / MIB);
  const [h, s] = [mean(hours), mean(sizes)];
  const top = hours.reduce((sum, hour, i) => sum + (hour - h) * (sizes[i] - s), 0);
  return top / hours.reduce((sum, hour) => sum + (hour - h) ** 2, 0);
}

let system;
try {
  const bed = await mountBed(folder, Number(options.files));
  system = sealfsSystem(options.mode, bed, [`--mode=${options.mode}`]);
  system.mount();
  const pid = serverOf(system.mnt);
  const random = randomNumbers();
  const start = performance.now();
  const samples = [];
  let rounds = 0;
  for (let now = 0; now < minutes * 60_000; now = performance.now() - start) {
    if (now >= samples.length * every) samples.push({ at: now, ...memoryOf(pid) });
    churn(system.mnt, bed, random);
    rounds++;
  }
  const mib = (bytes) => (bytes / MIB).toFixed(1);
  const most = Math.max(...samples.map(({ rss }) => rss));
  const [first, last] = [samples[0], samples.at(-1)];
  console.log(
    `\nchurn, ${options.mode}, ${minutes} minutes, ${rounds} rounds: RSS ${mib(first.rss)} at first, ` +
      `${mib(last.rss)} at last, ${mib(most)} MiB at most; PSS ${mib(first.pss)}, ${mib(last.pss)} MiB`,
  );
  for (const { at, rss, pss } of samples.filter((_, i) => i % (SAMPLES / 12) === 0)) {
    console.log(`  minute ${(at / 60_000).toFixed(1)}: RSS ${mib(rss)}, PSS ${mib(pss)} MiB`);
  }
  const half = samples.slice(samples.length / 2);
  console.log(`  PSS in the second half: ${slopeOf(half).toFixed(1)} MiB an hour`);
} finally {
  system?.unmount();
  spawnSync("sh", ["-c", 'umount -l "$1"/mnt-* 2>/dev/null', "sh", folder]);
  if (options.bed === undefined) rmSync(folder, { recursive: true, force: true });
}
