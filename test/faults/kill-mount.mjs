// Servers killed at every moment of their lives: a mount is started, and its server process gets SIGKILL
// a number of milliseconds after it has come to be, from 0 on, or right after the mount command has
// returned. Afterwards nothing of it is left: no process (a thread that waits for an answer of the file
// system that it serves itself cannot even be killed), no mount, and after a gc no lease, no staging
// directory and no loop device.
//
// node test/faults/kill-mount.mjs [--rounds N] [--until MS] [--mode A,B] [--user] [--verbose]
// Needs root and /dev/fuse, and the compiled library in dist/.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    until: { type: "string", default: "400" },
    mode: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});

const bin = fileURLToPath(new URL("../../bin/sealfs.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "sealfs-kill-"));
const at = (...parts) => join(root, ...parts);
const env = { ...process.env, SEALFS_STATE: "none" };

const ways = {
  fuse: ["--mode=fuse", "--transport=dev"],
  fusermount: ["--mode=fuse", "--transport=fusermount"],
  libfuse: ["--mode=fuse", "--transport=libfuse"],
  hybrid: ["--mode=hybrid"],
  "hybrid-passthrough": ["--mode=hybrid", "--passthrough", "--require=open"],
  kernel: ["--mode=kernel", "--require=metadata"],
};

/** What may not be left for longer than this. */
const PATIENCE_MS = 60_000;

function sealfs(...args) {
  const run = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8", env });
  if (run.status !== 0) throw new Error(`sealfs ${args.join(" ")}: ${run.status}\n${run.stderr}`);
  return run.stdout;
}

function prepare() {
  mkdirSync(at("tree"));
  for (let i = 0; i < 50; i++) writeFileSync(at("tree", `file-${i}`), Buffer.alloc(9000, `${i} `));
  writeFileSync(at("tree", "large"), Buffer.alloc(3_000_000, `large ${process.pid} `));
  sealfs("keygen", "-o", at("key"));
  const validity = ["--created", "2026-09-01", "--expires", "2036-09-01"];
  sealfs("build", `dir:${at("tree")}`, "--store", at("store"), "--name", "app", "--key", at("key.key"), ...validity); // prettier-ignore
}

/** Processes that have the mount point among their words, with what their threads do. */
function processesOf(target) {
  const found = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (!words.some((word) => word === target || word.includes(JSON.stringify(target)))) continue;
      const threads = readdirSync(`/proc/${pid}/task`).map((tid) => {
        const [, state] = /\) (\w)/.exec(readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8"));
        return state;
      });
      found.push({ pid: Number(pid), words, threads: threads.join("") });
    } catch {
      // gone meanwhile
    }
  }
  return found;
}

/** The server: a child of the command from its very beginning. */
function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  } catch {
    return [];
  }
}

function leftOf(target) {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...processesOf(target).map(
      ({ pid, words, threads }) => `process ${pid} (${threads}) ${words.join(" ").slice(0, 200)}`,
    ),
    ...mounts.filter((line) => line.includes(` ${target} `)).map((line) => `mount ${line}`),
  ];
}

/** Loop devices that hold the image. */
function loops() {
  const image = readFileSync(at("store/images/refs/app"));
  return readdirSync("/sys/block").filter((name) => {
    if (!existsSync(`/sys/block/${name}/loop/backing_file`)) return false;
    const bytes = Buffer.alloc(image.length);
    try {
      const fd = openSync(`/dev/${name}`, "r");
      readSync(fd, bytes, 0, bytes.length, 0);
      closeSync(fd);
    } catch {
      return false; // gone meanwhile
    }
    return bytes.equals(image);
  });
}

async function until(condition, timeoutMs) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(5)) {
    if (condition()) return true;
  }
  return condition();
}

/** One life; says what is left of it, and when it was killed. */
async function round(way, delay) {
  const target = mkdtempSync(at("mnt-"));
  const args = ["mount", "app", target, "--store", at("store"), "--key", at("key.pub")];
  const command = spawn(process.execPath, [bin, ...args, ...ways[way]], {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  let said = "";
  command.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  const exited = once(command, "exit");
  let server;
  const hasServer = () => (server = childrenOf(command.pid).at(-1)) !== undefined;
  while (!hasServer() && command.exitCode === null) await sleep(1);
  if (server === undefined) return { left: [`no server: ${said}`], when: "never" };
  await Promise.race([exited, ...(delay === undefined ? [] : [sleep(delay)])]);
  const when = said.includes("mounted ") ? "mounted" : "starting";
  try {
    process.kill(Number(server), "SIGKILL");
  } catch {
    // it has ended already: it could not mount
  }
  const impatient = sleep(PATIENCE_MS, false, { ref: false });
  const ended = await Promise.race([exited.then(() => true), impatient]);
  const left = ended ? [] : [`the command does not end: ${said}`];
  await until(() => leftOf(target).length === 0, PATIENCE_MS);
  left.push(...leftOf(target));
  if (left.length > 0) return { left, when };
  sealfs("gc", "--store", at("store"));
  await until(() => loops().length === 0, PATIENCE_MS);
  left.push(...loops().map((name) => `loop device ${name}`));
  for (const place of ["leases", "tmp"]) {
    left.push(...readdirSync(at("store", place)).map((name) => `${place}/${name}`));
  }
  rmSync(target, { recursive: true });
  return { left, when };
}

/** Ends what could not end by itself, so that the next round and this machine are well. */
function rescue(target) {
  for (const { pid } of processesOf(target)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone
    }
  }
  spawnSync("umount", ["-f", "-l", target]);
  for (const name of readdirSync("/sys/fs/fuse/connections")) {
    try {
      const waiting = readFileSync(`/sys/fs/fuse/connections/${name}/waiting`, "utf8");
      if (waiting.trim() !== "0" && options.verbose) console.log(`connection ${name}: ${waiting}`);
    } catch {
      // ended
    }
  }
}

async function main() {
  prepare();
  const chosen = options.mode?.split(",") ?? Object.keys(ways);
  const rounds = Number(options.rounds);
  let failures = 0;
  for (const way of chosen) {
    const count = { starting: 0, mounted: 0, never: 0 };
    const started = Date.now();
    for (let i = 0; i < rounds; i++) {
      // The last fifth right after the command has returned.
      const late = i >= (rounds * 4) / 5;
      const delay = late ? undefined : (i * Number(options.until)) / ((rounds * 4) / 5);
      const { left, when } = await round(way, delay);
      count[when] += 1;
      if (left.length === 0) continue;
      failures += 1;
      console.log(`FAIL ${way}, killed ${late ? "when mounted" : `after ${delay} ms`} (${when}):`);
      for (const line of left) console.log(`  ${line}`);
      for (const name of readdirSync(root).filter((each) => each.startsWith("mnt-"))) {
        rescue(at(name));
      }
    }
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(`${way}: ${rounds} kills, ${count.starting} while it started, ${count.mounted} when it was mounted, ${seconds} s`); // prettier-ignore
  }
  console.log(JSON.stringify({ ways: chosen.length, rounds, failures }));
  process.exitCode = failures > 0 ? 1 : 0;
}

try {
  await main();
} finally {
  rmSync(root, { recursive: true, force: true });
}
