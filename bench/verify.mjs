/**
 * Verifying a bundle and its image in a cold process, beside `cosign verify-blob-attestation --key`
 * with the same bundle: cosign checks signature and SHA-256, sealfs besides these the fs-verity
 * digest, name, times and every rule of the image's format. Whole processes, in alternation, medians
 * of wall and CPU time; Node's own start stands beside. Needs dist/ (npm run build) and the oracles.
 *
 * Usage: node bench/verify.mjs [ROUNDS]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, oracle } from "./support/tools.mjs";

const rounds = Number(process.argv[2] ?? 15);
const sealfs = new URL("../bin/sealfs.js", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-verify-"));
const at = (file) => join(folder, file);
const name = "registry.example/bench:1";
const env = { ...process.env, SEALFS_STATE: "none" };

function run(command, ...args) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null 2>"$0"';
  const log = at("log");
  const result = spawnSync("bash", ["-c", script, log, command, ...args], {
    encoding: "utf8",
    env,
  });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${result.status}`);
  const [wall, user, system] = result.stderr.trim().split(/\s+/).map(Number);
  return { wall: wall * 1000, cpu: (user + system) * 1000 };
}
const ours = (...args) => run(process.execPath, sealfs, ...args);

/** A tree of so many files, a hundred to a directory, as a dump file. */
function dumpOf(files) {
  const lines = ["/ 4096 40755 2 0 0 0 1.0 - - -"];
  for (let i = 0; i < files; i++) {
    const digest = i.toString(16).padStart(64, "0");
    if (i % 100 === 0) lines.push(`/d${i} 4096 40755 2 0 0 0 1.0 - - -`);
    const path = `/d${i - (i % 100)}/file${i}`;
    lines.push(
      `${path} 1000 100644 1 0 0 0 1.0 ${digest.slice(0, 2)}/${digest.slice(2)} - ${digest}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

try {
  ours("keygen", "-o", at("key"));
  writeFileSync(
    at("root.json"),
    '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}',
  );
  const cosign = oracle("cosign");
  for (const files of [100, 20_000]) {
    const image = at(`image-${files}`);
    writeFileSync(at("dump"), dumpOf(files));
    ours("mkcomposefs", "--from-file", at("dump"), image);
    ours("sign", image, "--key", at("key.key"), "--name", name);
    const parties = new Map([
      ["sealfs verify", () => ours("verify", image, "--key", at("key.pub"), "--name", name)],
      ["node -e 0", () => run(process.execPath, "-e", "0")],
    ]);
    if (cosign !== undefined) {
      const trust = ["--key", at("key.pub"), "--trusted-root", at("root.json")];
      const what = [
        "--bundle",
        `${image}.bundle.json`,
        "--type",
        "https://sealfs.dev/bootstrap/v1",
      ];
      parties.set("cosign verify-blob-attestation", () =>
        run(cosign, "verify-blob-attestation", "--insecure-ignore-tlog", ...trust, ...what, image),
      );
    }
    const times = new Map([...parties.keys()].map((party) => [party, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const [party, measure] of parties) {
        const time = measure();
        if (round > 0) times.get(party).push(time); // the first warms the page cache
      }
    }
    console.log(`image of ${files} files, ${(statSync(image).size / 1e6).toFixed(1)} MB`);
    for (const [party, list] of times) {
      const of = (key) => median(list.map((each) => each[key])).toFixed(0);
      console.log(`  ${party.padEnd(32)} wall ${of("wall")} ms, CPU ${of("cpu")} ms`);
    }
  }
  if (cosign === undefined) console.log("cosign: not installed (.ci/oracles)");
} finally {
  rmSync(folder, { recursive: true });
}
