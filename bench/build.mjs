/**
 * Building: from one tar.gz layer against `tar -xzf` + `mkcomposefs --digest-store` (which syncs each
 * object), and from whole images against `gzip -dc` of their layers. Durable, into fresh
 * directories, whole processes, in alternation, medians; wall time, and CPU time of the whole
 * process tree, which other programs on the machine disturb less. Needs dist/ (npm run build), and
 * for the comparisons the oracles (.ci/oracles) and OCI layouts with gzip layers.
 *
 * Usage: node bench/build.mjs [ROUNDS] [LAYOUT…]
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { median, oracle } from "./support/tools.mjs";

const rounds = Number(process.argv[2] ?? 3);
const bed = process.env.SEALFS_BED ?? join(homedir(), ".cache/sealfs-bed");
const given = process.argv.slice(3);
const layouts =
  given.length > 0 ? given : ["minbase", "large1"].map((name) => join(bed, "images", name, "gzip"));
const sealfs = new URL("../bin/sealfs.js", import.meta.url).pathname;

// Not in /tmp, which is often a file system in memory. What a round wrote is removed at the very
// end only: ext4 makes files several times slower for seconds after many were removed.
mkdirSync(join(homedir(), ".cache"), { recursive: true });
const folder = mkdtempSync(join(homedir(), ".cache/sealfs-bench-build-"));
let fresh = 0;
const freshPath = () => join(folder, `${fresh++}`);

/** Wall and CPU seconds of a command. */
function timeOf(command, ...args) {
  spawnSync("sync"); // what the last command left to the kernel is not this one's
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null 2>"$0"';
  const log = freshPath();
  const run = spawnSync("bash", ["-c", script, log, command, ...args], { encoding: "utf8" });
  if (run.status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${readFileSync(log, "utf8")}`);
  const [wall, user, system] = run.stderr.trim().split(/\s+/).map(Number);
  return { wall, cpu: user + system };
}

const build = (source) =>
  timeOf(process.execPath, sealfs, "build", source, "--store", freshPath(), "--name", "bench");

const unpack = 'mkdir "$1" && tar -xzf "$0" -C "$1" && "$2" --digest-store="$3" "$1" "$4"';
const unpackAndMake = (layer, mkcomposefs) =>
  timeOf("bash", "-c", unpack, layer, freshPath(), mkcomposefs, freshPath(), freshPath());

/** Runs both in turn, once to warm up, and prints medians and ratios. */
function compare(label, ours, peerLabel, peer, target) {
  const mine = [];
  const theirs = [];
  for (let round = 0; round <= rounds; round++) {
    const a = ours();
    const b = peer();
    if (round === 0) continue;
    mine.push(a);
    theirs.push(b);
  }
  const of = (list, key) => median(list.map((each) => each[key]));
  const show = (list) => `${of(list, "wall").toFixed(2)} s (CPU ${of(list, "cpu").toFixed(2)} s)`;
  const ratio = of(mine, "wall") / of(theirs, "wall");
  const cpuRatio = of(mine, "cpu") / of(theirs, "cpu");
  console.log(`build, ${label}: sealfs ${show(mine)}`);
  console.log(
    `  ${peerLabel} ${show(theirs)}, ratio ${ratio.toFixed(2)} (CPU ${cpuRatio.toFixed(2)}), target ${target}`,
  );
}

/** The gzip layers of a layout's only image. */
function layersOf(layout) {
  const blob = (digest) => join(layout, "blobs", digest.replace(":", "/"));
  const read = (path) => JSON.parse(readFileSync(path, "utf8"));
  let document = read(join(layout, "index.json"));
  while (document.manifests) document = read(blob(document.manifests[0].digest));
  return document.layers.map(({ digest }) => blob(digest));
}

try {
  const mkcomposefs = oracle("mkcomposefs");
  for (const layout of layouts) {
    const name = basename(dirname(layout));
    if (!existsSync(join(layout, "index.json"))) {
      console.log(`build, ${name}: ${layout} is not there`);
      continue;
    }
    const layers = layersOf(layout);
    compare(
      `image ${name}`,
      () => build(`oci:${layout}`),
      "gzip -dc",
      () => timeOf("gzip", "-dc", ...layers),
      1.2,
    );
    if (mkcomposefs === undefined) {
      console.log("  mkcomposefs is not installed: nothing to compare with");
      continue;
    }
    const size = (path) => readFileSync(path).length;
    const layer = layers.toSorted((a, b) => size(b) - size(a))[0];
    compare(
      `largest layer of ${name}`,
      () => build(`tar:${layer}`),
      "tar -xzf + mkcomposefs --digest-store",
      () => unpackAndMake(layer, mkcomposefs),
      0.4,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
