/**
 * An image from a dump file of 100,000 entries: sealfs mkcomposefs against mkcomposefs, whole
 * processes, start-up included, in alternation. Needs dist/ (npm run build) and, for the comparison,
 * the oracles (.ci/oracles).
 *
 * Usage: node bench/writer.mjs [ENTRIES] [ROUNDS]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "vite";
import { median, oracle } from "./support/tools.mjs";

const entries = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 7);
const root = new URL("..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-"));

function timeOf(command, args) {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(command, args);
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

try {
  const server = await createServer({ root, logLevel: "error", server: { middlewareMode: true } });
  const { randomDump } = await server.ssrLoadModule("/test/support/random-dump.ts");
  const dump = join(folder, "dump");
  writeFileSync(dump, randomDump(entries, 1, "rootfs"));
  await server.close();

  const ours = [];
  const theirs = [];
  const reference = oracle("mkcomposefs");
  const image = (name) => join(folder, name);
  for (let round = 0; round <= rounds; round++) {
    const args = ["mkcomposefs", "--from-file", dump, image("ours")];
    const a = timeOf(process.execPath, [join(root, "bin/sealfs.js"), ...args]);
    const b = reference && timeOf(reference, ["--from-file", dump, image("theirs")]);
    if (round === 0) continue; // warms the caches
    ours.push(a);
    theirs.push(b);
  }
  console.log(`writer, ${entries} entries: sealfs ${median(ours).toFixed(0)} ms`);
  if (reference) {
    if (!readFileSync(image("ours")).equals(readFileSync(image("theirs")))) {
      throw new Error("the images differ");
    }
    const ratio = median(ours) / median(theirs);
    console.log(`  mkcomposefs ${median(theirs).toFixed(0)} ms, ratio ${ratio.toFixed(2)}`);
  } else console.log("  mkcomposefs is not installed: nothing to compare with");
} finally {
  rmSync(folder, { recursive: true, force: true });
}
