/**
 * How fast layers are read: blob hashed, decompressed, uncompressed bytes hashed, against the
 * commands that only decompress (`gzip -dc`, `zstd -dc`). The layer is the front of a tar of /usr.
 * Run after `npm run build`: node bench/layer.mjs [MB, 300] [--ways]
 * With --ways also every place where the work can be done.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { readLayer } from "../dist/oci/layer/layer.js";
import { median } from "./support/tools.mjs";

const RUNS = 5;
const ways = process.argv.includes("--ways");
const megabytes = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 300);
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-"));

function sh(command) {
  const { status, stderr } = spawnSync("sh", ["-c", command], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

/** Runs all `tasks` in turn, several times; the median of each in ms. */
async function race(tasks) {
  const times = new Map(Object.keys(tasks).map((name) => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    for (const [name, task] of Object.entries(tasks)) {
      const start = performance.now();
      await task();
      times.get(name).push(performance.now() - start);
    }
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

async function ours(path, options = {}) {
  const { size } = statSync(path);
  const openBlob = () => {
    const fd = openSync(path, "r");
    return { fd, offset: 0, size, close: () => closeSync(fd) };
  };
  let bytes = 0;
  const layer = { label: path, size };
  await readLayer({ openBlob }, layer, (chunk) => (bytes += chunk.length), options);
  return bytes;
}

try {
  const tar = join(folder, "layer.tar");
  sh(`tar -C / -cf - usr 2>/dev/null | head -c ${megabytes}000000 >${tar}`);
  sh(`gzip -6 -k ${tar}`);
  const hasZstd = spawnSync("zstd", ["--version"]).status === 0;
  if (hasZstd) sh(`zstd -q -3 -k ${tar}`);
  const mb = statSync(tar).size / 1e6;
  console.log(`${mb.toFixed(0)} MB, Node ${process.version}, ${availableParallelism()} CPUs`);
  const forms = {
    gzip: [".gz", "gzip -dc"],
    ...(hasZstd ? { zstd: [".zst", "zstd -q -dc"] } : {}),
    none: ["", "cat"],
  };
  for (const [name, [suffix, command]] of Object.entries(forms)) {
    const path = tar + suffix;
    const tasks = {
      [command]: () => sh(`${command} ${path}`),
      sealfs: () => ours(path),
    };
    if (ways) {
      tasks["  here"] = () => ours(path, { thread: "here" });
      tasks["  own thread, diffID there"] = () => ours(path, { thread: "own", diffIdIn: "own" });
      tasks["  own thread, diffID here"] = () => ours(path, { thread: "own", diffIdIn: "here" });
      tasks["  own thread, documented decoder"] = () =>
        ours(path, { thread: "own", decoder: "documented" });
    }
    const times = await race(tasks);
    const peer = times.get(command);
    for (const [task, ms] of times) {
      const rate = ((mb * 1000) / ms).toFixed(0).padStart(6);
      const ratio = task === command ? "" : `  ratio ${(ms / peer).toFixed(2)}`;
      console.log(
        `${name.padEnd(5)} ${task.padEnd(30)} ${ms.toFixed(0).padStart(6)} ms ${rate} MB/s${ratio}`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
