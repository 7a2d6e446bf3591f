/**
 * Memory and descriptors of a mount's server under endless use: files are looked up, opened, read and
 * listed in changing order, and caches dropped, while both are written down. Not part of `npm run bench`.
 *
 * Usage: node bench/churn.mjs [MINUTES] [MODE]
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, writeFileSync } from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountBed } from "./support/bed.mjs";
import { sealfsSystem } from "./support/systems.mjs";
import { randomNumbers, run, sealfs } from "./support/tools.mjs";

const minutes = Number(process.argv[2] ?? 60);
const mode = process.argv[3] ?? "fuse";
const folder = mkdtempSync(join(tmpdir(), "sealfs-churn-"));
const bed = await mountBed(folder, 20_000, { references: false });
const { mnt, mount, unmount } = sealfsSystem("churn", bed, [`--mode=${mode}`]);
mount();
try {
  const status = () => JSON.parse(run(process.execPath, [sealfs, "status", mnt, "--json"]))[0];
  const { pid } = status();
  const random = randomNumbers();
  const buffer = Buffer.alloc(1 << 20);
  const end = Date.now() + minutes * 60_000;
  for (let next = 0; Date.now() < end;) {
    for (let i = 0; i < 2000; i++) {
      const fd = openSync(join(mnt, bed.paths[random(bed.paths.length)]), "r");
      readSync(fd, buffer, 0, buffer.length, 0);
      closeSync(fd);
    }
    spawnSync("find", [mnt, "-ls"], { stdio: "ignore" });
    writeFileSync("/proc/sys/vm/drop_caches", "3");
    if (Date.now() < next) continue;
    next = Date.now() + (minutes * 60_000) / 30;
    const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
    const fds = readdirSync(`/proc/${pid}/fd`).length;
    const { requests } = status().counters;
    const sum = Object.values(requests).reduce((all, count) => all + count, 0);
    console.log(`${new Date().toISOString()} ${(rss / 1024).toFixed(1)} MiB, ${fds} descriptors, ${sum} requests`); // prettier-ignore
  }
} finally {
  unmount();
  rmSync(folder, { recursive: true, force: true });
}
