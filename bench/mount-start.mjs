/**
 * An image of 100,000 files: from the command to the first listing of its root, the first time and
 * again, beside mount.composefs, which looks at nothing but the superblock; and what the server's memory is then,
 * after `find -ls`, and after reading 20,000 files. Alternating, medians and ratios. Needs root, dist/
 * (npm run build) and the oracles (.ci/oracles).
 *
 * Usage: node bench/mount-start.mjs [--files N] [--rounds N] [--bed DIR]
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mountBed } from "./support/bed.mjs";
import { memoryOf, serverOf } from "./support/memory.mjs";
import { Results } from "./support/results.mjs";
import { allSystems, sealfsSystem } from "./support/systems.mjs";
import { microseconds, run } from "./support/tools.mjs";

const { values: options } = parseArgs({
  options: {
    files: { type: "string", default: "100000" },
    rounds: { type: "string", default: "7" },
    bed: { type: "string" },
  },
});
const folder = options.bed ?? mkdtempSync(join(tmpdir(), "sealfs-bench-"));
const ways = {
  fuse: ["--mode=fuse"],
  hybrid: ["--mode=hybrid"],
  kernel: ["--mode=kernel", "--require=metadata"],
};
const READ_FILES = 20_000;
const MIB = 1 << 20;

const block = Buffer.alloc(128 * 1024);

function readWhole(path) {
  const fd = openSync(path, "r");
  while (readSync(fd, block, 0, block.length, null) > 0);
  closeSync(fd);
}

function noteMemory(results, system, when) {
  const pid = serverOf(system.mnt);
  if (pid === undefined) return;
  const { rss, pss } = memoryOf(pid);
  results.note(`RSS ${when}`, "MiB", system.name, rss / MIB);
  results.note(`PSS ${when}`, "MiB", system.name, pss / MIB);
}

try {
  const bed = await mountBed(folder, Number(options.files), { tiny: true, references: false });
  const names = ["fuse", "hybrid", "kernel", "composefs"];
  const firsts = allSystems(bed).filter(({ name }) => names.includes(name));
  // The same by a client that has mounted the image before, and so need not check it again.
  const state = join(folder, "state");
  const agains = firsts
    .filter(({ name }) => name in ways)
    .map(({ name }) => sealfsSystem(`${name} again`, bed, [...ways[name], "--state", state]));
  for (const system of agains.slice(0, 1)) {
    system.mount();
    system.unmount();
  }
  const systems = [...firsts, ...agains];
  const results = new Results();
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const system of round % 2 === 0 ? systems : systems.toReversed()) {
      const time = microseconds(() => {
        system.mount();
        readdirSync(system.mnt);
      });
      results.note("mount to first ls", "ms", system.name, time / 1000);
      try {
        noteMemory(results, system, "at start");
        if (round > 1) continue;
        run("find", [system.mnt, "-ls"]);
        noteMemory(results, system, "after find");
        for (const path of bed.shuffled.slice(0, READ_FILES)) readWhole(join(system.mnt, path));
        noteMemory(results, system, "after reads");
      } finally {
        system.unmount();
      }
    }
  }
  console.log(`\nmounts of ${options.files} files, ${options.rounds} rounds: median (best)`);
  results.printTable(systems.map(({ name }) => name));
  for (const { name } of systems.filter(({ name: each }) => each !== "composefs")) {
    results.printRatio("mount to first ls", name, "composefs", 3);
  }
} finally {
  spawnSync("sh", ["-c", 'umount -l "$1"/mnt-* 2>/dev/null', "sh", folder]);
  if (options.bed === undefined) rmSync(folder, { recursive: true, force: true });
}
