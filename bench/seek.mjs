/**
 * The seek index: what it adds to reading a layer and to a build, how large it is, and what a random
 * read of 64 KiB costs with it. The layer is the front of a tar of /usr.
 * Run after `npm run build`: node bench/seek.mjs [MB, 300]
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage } from "../dist/build/build-image.js";
import { fileRanges } from "../dist/oci/blob-ranges.js";
import { readLayer } from "../dist/oci/layer/layer.js";
import { parseSource } from "../dist/oci/reference.js";
import { readLayerBytes } from "../dist/oci/layer/seek-extract.js";
import { encodeSeekIndex } from "../dist/seek/encode.js";
import { planLayer } from "../dist/seek/read-plan.js";
import { SeekIndex } from "../dist/seek/seek-index.js";
import { Store } from "../dist/store/store.js";

const RUNS = 5;
const READS = 300;
const READ_BYTES = 64 * 1024;
const megabytes = Number(process.argv[2] ?? 300);
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-"));

function sh(command) {
  const { status, stderr } = spawnSync("sh", ["-c", command], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const percent = (share) => `${(share * 100).toFixed(2)} %`;

/** Milliseconds of wall clock and of all threads' CPU. */
async function cost(task) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await task();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, cpu: (user + system) / 1000 };
}

async function read(path, points) {
  const { size } = statSync(path);
  const fd = openSync(path, "r");
  const openBlob = () => ({ fd, offset: 0, size, close() {} });
  const report = await readLayer({ openBlob }, { label: path, size }, () => {}, { points });
  closeSync(fd);
  return { ...report, size };
}

/** Medians of both, run in turn. */
async function compare(name, without, withIndex) {
  const times = [[], []];
  for (let run = 0; run < RUNS; run++) {
    for (const [i, task] of [without, withIndex].entries()) times[i].push(await cost(task));
  }
  const [a, b] = times.map((each) => ({
    wall: median(each.map(({ wall }) => wall)),
    cpu: median(each.map(({ cpu }) => cpu)),
  }));
  console.log(
    `${name.padEnd(22)} ${ms(a.wall)} without, ${ms(b.wall)} with: ${percent(b.wall / a.wall - 1)} more` +
      ` (CPU ${ms(a.cpu)}, ${ms(b.cpu)}: ${percent(b.cpu / a.cpu - 1)} more)`,
  );
}

async function reads(path, report) {
  const layer = { ...report, points: report.points };
  const bytes = encodeSeekIndex(new Map(), [layer], []);
  const index = SeekIndex.parse(bytes, new Map());
  const [only] = index.layers;
  const fd = openSync(path, "r");
  const blob = fileRanges({ fd, offset: 0, size: report.size }, path);
  const times = [];
  let fetched = 0;
  for (let i = 0; i < READS; i++) {
    const offset = Math.floor(((i * 0.618034) % 1) * (report.bytes - READ_BYTES));
    const plan = planLayer(only, offset, READ_BYTES);
    fetched += plan.blob.end - plan.blob.start;
    const start = performance.now();
    for await (const _ of readLayerBytes(index, plan, blob, {}));
    times.push(performance.now() - start);
  }
  closeSync(fd);
  console.log(
    `${"".padEnd(22)} index ${bytes.length} bytes, ${percent(bytes.length / report.bytes)} of the layer;` +
      ` 64 KiB at random: ${ms(median(times))}, ${(fetched / READS / 1024).toFixed(0)} KiB of the blob`,
  );
}

try {
  const tar = join(folder, "layer.tar");
  sh(`tar -C / -cf - usr 2>/dev/null | head -c ${megabytes}000000 >${tar}`);
  sh(`gzip -6 -k ${tar}`);
  console.log(`${megabytes} MB, Node ${process.version}, ${availableParallelism()} CPUs, medians`);
  const forms = { uncompressed: tar, "gzip -6": `${tar}.gz` };
  if (spawnSync("zstd", ["--version"]).status === 0) {
    sh(`split -b 4M ${tar} ${folder}/part. && zstd -q -3 --rm ${folder}/part.*`);
    sh(`cat ${folder}/part.*.zst >${tar}.zst && rm ${folder}/part.*`);
    forms["zstd frames of 4 MiB"] = `${tar}.zst`;
  }
  for (const [name, path] of Object.entries(forms)) {
    readFileSync(path); // into the page cache
    await compare(
      name,
      () => read(path, false),
      () => read(path, true),
    );
    await reads(path, await read(path, true));
  }
  // A tar that ends well, for a whole build.
  const whole = join(folder, "whole.tar");
  sh(`mkdir ${folder}/tree && tar -C ${folder}/tree -xf ${tar} 2>/dev/null; true`);
  sh(`tar -C ${folder}/tree -czf ${whole} .`);
  let store = 0;
  const build = (seekIndex) => {
    const to = Store.create(join(folder, `store${store++}`));
    return buildImage(parseSource(`tar:${whole}`), { store: to, seekIndex });
  };
  await compare(
    "build of a gzip layer",
    () => build(false),
    () => build(true),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
