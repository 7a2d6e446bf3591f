// Readers against attackers: eight processes read a mount in every way that programs do, while others
// damage, exchange and restore what lies in its store as fast as they can. What a reader gets is the
// signed content or an error. With passthrough the promise ends where somebody writes to a file that a
// reader has open: there such attacks wait until nobody has. Afterwards the store is repaired from another one, and everything reads.
//
// node test/torture/torture.mjs [--minutes N] [--mode A,B] [--seed N]
// Needs root and /dev/fuse, and the compiled library in dist/. The minutes are shared by the modes; the
// last line is JSON: for each mode the reads, the errors, the attacks by name, and `wrong`.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { contentOf, files } from "./contents.mjs";
import { makeTurns } from "./turns.mjs";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    mode: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1e9) },
  },
});

const READERS = 8;
const ATTACKERS = 3;
const ways = {
  fuse: ["--mode=fuse", "--transport=dev"],
  libfuse: ["--mode=fuse", "--transport=libfuse"],
  "fuse-passthrough": ["--mode=fuse", "--passthrough", "--require=open"],
  hybrid: ["--mode=hybrid"],
  "hybrid-passthrough": ["--mode=hybrid", "--passthrough", "--require=open"],
};

const bin = fileURLToPath(new URL("../../bin/sealfs.js", import.meta.url));
const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const root = mkdtempSync(join(tmpdir(), "sealfs-torture-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
const at = (...parts) => join(root, ...parts);
const env = { ...process.env, SEALFS_STATE: "none" };

function sealfs(...args) {
  const run = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8", env });
  if (run.status !== 0) throw new Error(`sealfs ${args.join(" ")}: ${run.status}\n${run.stderr}`);
  return run.stdout;
}

/** Starts a script; resolves with the object that it prints when its input ends. */
function start(name, ...args) {
  const child = spawn(process.execPath, [script(name), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => (text += bytes));
  return async () => {
    child.stdin.end();
    const [status] = await once(child, "close");
    if (status !== 0) throw new Error(`${name}: exit ${status}`);
    return JSON.parse(text);
  };
}

function add(total, more) {
  for (const [key, value] of Object.entries(more)) {
    if (typeof value === "number") total[key] = (total[key] ?? 0) + value;
    else if (Array.isArray(value)) total[key] = [...(total[key] ?? []), ...value];
    else total[key] = add(total[key] ?? {}, value);
  }
  return total;
}

const dropCaches = () => writeFileSync("/proc/sys/vm/drop_caches", "3");

/** Files that do not read as signed. */
function badFiles(mount) {
  dropCaches();
  return files.filter((file) => {
    try {
      return !readFileSync(join(mount, file.name)).equals(contentOf(file));
    } catch {
      return true;
    }
  });
}

function prepare() {
  mkdirSync(at("tree"));
  for (const file of files) writeFileSync(at("tree", file.name), contentOf(file));
  sealfs("keygen", "-o", at("key"));
  const sign = ["--key", at("key.key"), "--name", "app"];
  sealfs("build", `dir:${at("tree")}`, "--store", at("good"), ...sign);
}

async function torture(mode, seconds) {
  const [store, mount] = [at(`store-${mode}`), at(`mount-${mode}`)];
  mkdirSync(mount);
  // A file that readers lock together and writers alone; none where they need not wait.
  const turns = mode.endsWith("passthrough") ? at(`turns-${mode}`) : "";
  if (turns !== "") makeTurns(turns);
  spawnSync("cp", ["-a", at("good"), store]);
  sealfs("mount", "app", mount, "--store", store, "--key", at("key.pub"), ...ways[mode]);
  const result = { reads: 0, errors: 0, wrong: 0, wrongReads: [], attacks: {} };
  try {
    const readers = Array.from({ length: READERS }, (_, i) =>
      start("reader.mjs", mount, at(`copy-${mode}-${i}`), `${options.seed}${i}`, turns),
    );
    const attackers = Array.from({ length: ATTACKERS }, (_, i) =>
      start(
        "attacker.mjs",
        store,
        at(`evil-${mode}-${i}`),
        `${options.seed}${i}`,
        String(i),
        turns,
      ),
    );
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(1500)) dropCaches();
    for (const attacks of await Promise.all(attackers.map((stop) => stop()))) {
      add(result, { attacks });
    }
    for (const read of await Promise.all(readers.map((stop) => stop()))) add(result, read);
    sealfs("fsck", "--repair", "--from", at("good"), "--store", store);
    result.badAfterRepair = badFiles(mount).length;
  } finally {
    spawnSync(process.execPath, [bin, "umount", mount], { env });
  }
  return result;
}

prepare();
const modes = options.mode?.split(",") ?? Object.keys(ways);
const results = {};
let failed = false;
console.log(`seed ${options.seed}`);
for (const mode of modes) {
  const seconds = (Number(options.minutes) * 60) / modes.length;
  const result = await torture(mode, seconds);
  results[mode] = { seconds, ...result };
  failed ||= result.wrong > 0 || result.badAfterRepair > 0 || result.reads === 0;
  for (const line of result.wrongReads) console.log(`WRONG ${mode}: ${line}`);
  const count = Object.values(result.attacks).reduce((sum, each) => sum + each, 0);
  console.log(
    `${mode}: ${Math.round(seconds)} s, ${result.reads} reads, ${result.errors} errors, ` +
      `${count} attacks, ${result.wrong} wrong, ${result.badAfterRepair} bad after the repair`,
  );
}
console.log(JSON.stringify(results));
process.exitCode = failed ? 1 : 0;
