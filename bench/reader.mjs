/**
 * An image of 100,000 entries as a dump file: sealfs dump against composefs-info dump, whole
 * processes, start-up included, in alternation; then the strict check, and a walk with a lookup of
 * every name, inside one process. Needs dist/ (npm run build) and, for the comparison, the oracles
 * (.ci/oracles).
 *
 * Usage: node bench/reader.mjs [ENTRIES] [ROUNDS]
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "vite";
import { Image, ImageView, checkImage, walkFiles, writeImage } from "../dist/erofs/index.js";
import { parseDump } from "../dist/tree/dump-reader.js";
import { HardLink, isDirectory } from "../dist/tree/inode.js";
import { median, oracle } from "./support/tools.mjs";

const entries = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 7);
const root = new URL("..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-"));

/** Milliseconds of a process that prints into a file. */
function timeOf(command, args, output) {
  const fd = openSync(output, "w");
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(command, args, { stdio: ["ignore", fd, "pipe"] });
  const elapsed = Number(process.hrtime.bigint() - start) / 1e6;
  closeSync(fd);
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return elapsed;
}

/** The tree with true link counts, which random dump files do not have. */
function withTrueLinks(tree) {
  const links = [];
  const directories = [tree];
  for (const directory of directories) {
    for (const entry of directory.entries.values()) {
      if (entry instanceof HardLink) links.push(entry.target);
      else if (isDirectory(entry)) directories.push(entry);
      else entry.nlink = 1;
    }
  }
  for (const target of links) target.nlink++;
  return tree;
}

function medianOf(run) {
  const times = [];
  for (let round = 0; round <= rounds; round++) {
    const start = process.hrtime.bigint();
    run();
    if (round > 0) times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  return median(times);
}

try {
  const server = await createServer({ root, logLevel: "error", server: { middlewareMode: true } });
  const { randomDump } = await server.ssrLoadModule("/test/support/random-dump.ts");
  const bytes = writeImage(withTrueLinks(parseDump(Buffer.from(randomDump(entries, 1, "rootfs")))));
  await server.close();
  const image = join(folder, "image");
  writeFileSync(image, bytes);

  const ours = [];
  const theirs = [];
  const reference = oracle("composefs-info");
  const printed = (name) => join(folder, name);
  for (let round = 0; round <= rounds; round++) {
    const sealfs = [join(root, "bin/sealfs.js"), "dump", image];
    const a = timeOf(process.execPath, sealfs, printed("ours"));
    const b = reference && timeOf(reference, ["dump", image], printed("theirs"));
    if (round === 0) continue; // warms the caches
    ours.push(a);
    theirs.push(b);
  }
  console.log(`reader, ${entries} entries: sealfs dump ${median(ours).toFixed(0)} ms`);
  if (reference) {
    if (!readFileSync(printed("ours")).equals(readFileSync(printed("theirs")))) {
      throw new Error("the dump files differ");
    }
    const ratio = median(ours) / median(theirs);
    console.log(`  composefs-info dump ${median(theirs).toFixed(0)} ms, ratio ${ratio.toFixed(2)}`);
  } else console.log("  composefs-info is not installed: nothing to compare with");

  const check = medianOf(() => {
    const problem = checkImage(bytes);
    if (problem !== undefined) throw problem;
  });
  console.log(`  strict check ${check.toFixed(0)} ms`);

  const view = new ImageView(Image.open(bytes));
  const files = [...walkFiles(view)];
  const parents = new Map(files.map(({ path, inode }) => [path, inode]));
  const splits = files.map(({ path }) => {
    const slash = path.lastIndexOf("/");
    return [parents.get(path.slice(0, slash)) ?? view.root, path.slice(slash + 1)];
  });
  const walk = medianOf(() => walkFiles(view).toArray?.() ?? [...walkFiles(view)]);
  const lookup = medianOf(() => {
    for (const [directory, name] of splits) view.lookup(directory, name);
  });
  const each = (ms) => `${((ms * 1000) / files.length).toFixed(2)} us`;
  console.log(`  walk ${each(walk)} a file, lookup with inode ${each(lookup)} a name`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
