/**
 * A mounted image in each mode, beside the kernel's EROFS and overlay without any check (as our kernel
 * mode, and as mount.composefs), our servers with their checks taken out, erofsfuse and plain ext4: in
 * alternation, each measurement on a fresh mount, medians and the medians of the rounds' ratios. Needs
 * root, dist/ (npm run build), and the oracles (.ci/oracles).
 *
 * kernel: EROFS and overlay, no checks. unchecked, unchecked-hybrid: as fuse and hybrid, without the
 * checks. backing: the large file's object in the store, which the kernel reads by itself for
 * passthrough.
 *
 * cold: nothing of the file is in memory, it comes from the disk. uncached: it is in memory where it
 * lies in the store, but was never read through the mount. warm: it was.
 *
 * Usage: node bench/mount.mjs [--files N] [--rounds N] [--only ROW…] [--systems NAME…] [--bed DIR]
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  fstatSync,
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
import { LARGE_BYTES, mountBed } from "./support/bed.mjs";
import { forget, readWhole, settle, sourcesOf } from "./support/caches.mjs";
import { Results } from "./support/results.mjs";
import { allSystems } from "./support/systems.mjs";
import { microseconds, randomNumbers, run } from "./support/tools.mjs";

const { values: options } = parseArgs({
  options: {
    files: { type: "string", default: "20000" },
    rounds: { type: "string", default: "7" },
    only: { type: "string", multiple: true },
    systems: { type: "string", multiple: true },
    bed: { type: "string" },
  },
});
const files = Number(options.files);
const rounds = Number(options.rounds);
const folder = options.bed ?? mkdtempSync(join(tmpdir(), "sealfs-bench-"));

const block = Buffer.alloc(4096);

const RANDOM_READS = 2000;

function readAtRandom(path) {
  const fd = openSync(path, "r");
  const random = randomNumbers();
  const pages = fstatSync(fd).size / 4096;
  for (let i = 0; i < RANDOM_READS; i++) readSync(fd, block, 0, 4096, random(pages) * 4096);
  closeSync(fd);
}

const onLarge = (group) => Object.assign(group, { onLarge: true });

/**
 * Rows that share a mount: name, unit, number of operations, the work on a mount point, and what is to
 * be done before, which does not count.
 */
function measurements(bed) {
  const { shuffled, directories } = bed;
  const sources = sourcesOf(bed);
  const some = shuffled.slice(0, 5000);
  const statAll = (mnt) => shuffled.forEach((path) => lstatSync(join(mnt, path)));
  const listAll = (mnt) => directories.forEach((path) => readdirSync(join(mnt, path)));
  const readAll = (mnt) => some.forEach((path) => readWhole(join(mnt, path)));
  const readLarge = (mnt) => readWhole(join(mnt, "large"));
  const readLargeAtRandom = (mnt) => readAtRandom(join(mnt, "large"));
  const mebibytes = LARGE_BYTES / (1 << 20);
  const makeCold = (mnt) => [join(mnt, "large"), ...sources].forEach(forget);
  const uncache = (mnt) => {
    forget(join(mnt, "large"));
    sources.forEach(readWhole);
  };
  return [
    [["find -ls", "ms", 1000, (mnt) => run("find", [mnt, "-ls"])]],
    [
      ["stat cold", "us", shuffled.length, statAll],
      ["stat warm", "us", shuffled.length, statAll],
    ],
    [
      ["readdir cold, entry", "us", shuffled.length, listAll],
      ["readdir warm, entry", "us", shuffled.length, listAll],
    ],
    [
      ["open+read first", "us", some.length, readAll],
      ["open+read again", "us", some.length, readAll],
    ],
    onLarge([
      ["open large, first", "ms", 1000, (mnt) => closeSync(openSync(join(mnt, "large"), "r"))],
      ["sequential cold, MiB", "us", mebibytes, readLarge, makeCold],
      ["sequential uncached, MiB", "us", mebibytes, readLarge, uncache],
      ["sequential warm, MiB", "us", mebibytes, readLarge],
      ["random 4k uncached", "us", RANDOM_READS, readLargeAtRandom, uncache],
      ["random 4k warm", "us", RANDOM_READS, readLargeAtRandom, readLarge],
    ]),
  ];
}

const metadataRows = ["find -ls", "stat cold", "readdir cold, entry", "readdir warm, entry"];
metadataRows.push("open+read again");
const kernelRows = ["find -ls", "stat cold", "stat warm", "open+read again"];

try {
  const bed = await mountBed(folder, files);
  const wanted = (name) => options.systems === undefined || options.systems.includes(name);
  const systems = allSystems(bed).filter(({ name }) => wanted(name));
  const groups = measurements(bed).filter((group) =>
    group.some(([row]) => options.only === undefined || options.only.some((o) => row.includes(o))),
  );
  const results = new Results();
  for (let round = 0; round < rounds; round++) {
    for (const group of groups) {
      for (const system of round % 2 === 0 ? systems : systems.toReversed()) {
        if (system.largeOnly && !group.onLarge) continue;
        system.mount();
        try {
          readdirSync(system.mnt);
          settle(system.mnt);
          for (const [row, unit, count, work, prepare] of group) {
            prepare?.(system.mnt);
            results.note(row, unit, system.name, microseconds(() => work(system.mnt)) / count);
          }
        } finally {
          system.unmount();
        }
      }
    }
  }
  console.log(`mounts, ${files} files, ${rounds} rounds: median (best)`);
  results.printTable(systems.map(({ name }) => name));
  console.log("ratios (median of the rounds):");
  for (const row of kernelRows) results.printRatio(row, "hybrid", "kernel", 1.3);
  for (const row of metadataRows) results.printRatio(row, "fuse", "erofsfuse", 1);
  results.printRatio("stat warm", "fuse", "erofsfuse"); // both by the kernel's cache alone
  for (const row of ["sequential cold, MiB", "sequential uncached, MiB"]) {
    results.printRatio(row, "fuse", "unchecked", 1 / 0.7);
    results.printRatio(row, "hybrid", "unchecked-hybrid", 1 / 0.7);
  }
  for (const row of ["sequential warm, MiB", "random 4k warm"]) {
    results.printRatio(row, "passthrough", "backing", 1.3);
  }
} finally {
  spawnSync("sh", ["-c", 'umount -l "$1"/mnt-* 2>/dev/null', "sh", folder]);
  if (options.bed === undefined) rmSync(folder, { recursive: true, force: true });
}
