// Fault sweep of the commands that change a store: strace lists the system calls that a command makes
// on the store; then, for each of them, the command is run on a fresh copy of the store and killed at
// that call, or the call fails with each of several errors. After each run:
//
// - fsck finds nothing wrong, and what names led to before they lead to still (or to what the command
//   was to put there);
// - after an error: the message is one for people, and nothing is left in tmp/;
// - the same command run again succeeds, and its work is done.
//
// node test/faults/sweep.mjs [--every N] [--offset N] [--scenario A,B] [--errors E,F|none]
// [--no-kill] [--verbose]. Needs strace, and the compiled library in dist/.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkStore } from "../../dist/store/fsck/fsck.js";
import { Store } from "../../dist/store/store.js";
import { resolveHeldPaths } from "../support/held-paths.mjs";

const bin = fileURLToPath(new URL("../../bin/sealfs.js", import.meta.url));
const { values: options } = parseArgs({
  options: {
    every: { type: "string", default: "1" },
    offset: { type: "string", default: "0" },
    scenario: { type: "string" },
    errors: { type: "string", default: "EIO,ENOSPC,EDQUOT,EROFS,EACCES,EINTR,EMFILE" },
    "no-kill": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

/** Calls that change a store or bring it to the disk, or lock it. */
const CALLS = [
  "openat",
  "openat2",
  "write",
  "pwrite64",
  "writev",
  "pwritev",
  "fsync",
  "fdatasync",
  "syncfs",
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
  "symlink",
  "symlinkat",
  "unlink",
  "unlinkat",
  "mkdir",
  "mkdirat",
  "rmdir",
  "chmod",
  "fchmod",
  "fchmodat",
  "ftruncate",
  "flock",
  "ioctl", // fs-verity
];
/** Reading calls are only made to fail: being killed there is being killed at the next write. */
const ONLY_WRITING_OPENS = /O_WRONLY|O_RDWR|O_CREAT/;

const root = mkdtempSync(join(tmpdir(), "sealfs-sweep-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
const at = (...parts) => join(root, ...parts);
// strace counts each thread's calls for itself. With many threads in the pool none of them makes as
// many calls as the thread that works on the store, so a fault meant for that one hits no other.
const env = { ...process.env, SEALFS_STATE: "none", UV_THREADPOOL_SIZE: "128" };

function sealfs(args, extra = {}) {
  return spawnSync(process.execPath, [bin, ...args], { encoding: "buffer", env, ...extra });
}

function must(args, extra) {
  const run = sealfs(args, extra);
  if (run.status !== 0) throw new Error(`sealfs ${args.join(" ")}: ${run.status}\n${run.stderr}`);
  return run;
}

const content = (seed, bytes) => Buffer.alloc(bytes, `content of ${seed}, `);

function makeTree(name, seeds) {
  mkdirSync(at(name));
  for (const seed of seeds)
    writeFileSync(at(name, seed), content(seed, seed === "large" ? 400_000 : 6000));
}

/** A layout of an image whose layers are trees. */
function makeLayout(name, trees) {
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
  mkdirSync(at(name, "blobs/sha256"), { recursive: true });
  const blob = (bytes, type) => {
    const digest = sha256(bytes);
    writeFileSync(at(name, "blobs/sha256", digest), bytes);
    return {
      mediaType: `application/vnd.oci.image.${type}`,
      digest: `sha256:${digest}`,
      size: bytes.length,
    };
  };
  const json = (value, type) => blob(Buffer.from(JSON.stringify(value)), type);
  const layers = trees.map((tree) => {
    const { stdout } = spawnSync("tar", ["-C", at(tree), "-cf", "-", "."], { maxBuffer: 1 << 28 });
    return blob(stdout, "layer.v1.tar");
  });
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const config = json({ os: "linux", architecture: "amd64", rootfs }, "config.v1+json");
  const manifests = [json({ schemaVersion: 2, config, layers }, "manifest.v1+json")];
  writeFileSync(at(name, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  writeFileSync(at(name, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

const validity = ["--created", "2026-09-01", "--expires", "2036-09-01"];

/** The store that every scenario starts from: a name, an image to be collected, a leaf cache. */
function prepare() {
  must(["keygen", "-o", at("key")]);
  makeTree("old", ["a", "b"]);
  makeTree("new", ["b", "c", "d", "large"]);
  makeTree("gone", ["a", "x", "y"]);
  const store = at("template");
  const sign = ["--key", at("key.key"), ...validity];
  must(["build", `dir:${at("old")}`, "--store", store, "--name", "old", ...sign]);
  must(["build", `dir:${at("gone")}`, "--store", store, "--name", "gone", ...sign]);
  must(["build", `dir:${at("old")}`, "--store", store, "--name", "second"]);
  makeLayout("gone-layers", ["gone"]);
  makeLayout("base-layers", ["old"]);
  makeLayout("more-layers", ["old", "new"]);
  must(["build", `oci:${at("gone-layers")}`, "--store", store, "--name", "gone"]);
  must(["build", `oci:${at("base-layers")}`, "--store", store, "--name", "gone"]);
  const opened = Store.open(store);
  const gone = opened.images.resolve("gone");
  opened.writeLeaves(gone, Buffer.alloc(32));
  rmSync(opened.path + "/verity", { recursive: true });
  mkdirSync(opened.path + "/verity");
  must(["rm", "gone", "--store", store]);
  must(["build", `dir:${at("new")}`, "--store", at("other"), "--name", "app", ...sign]);
  writeFileSync(
    at("app.tar"),
    must(["export", "app", "--store", at("other")], { maxBuffer: 1 << 28 }).stdout,
  );
  // For fsck: an object of the image behind "old" is wrong, and another store has it.
  cpSync(store, at("damaged"), { recursive: true, verbatimSymlinks: true });
  const damaged = Store.open(at("damaged"));
  const victim = damaged.objects.path(objectOf(damaged, content("b", 6000)));
  chmodSync(victim, 0o644);
  writeFileSync(victim, content("evil", 6000));
  chmodSync(victim, 0o444);
}

function objectOf(store, bytes) {
  for (const fan of readdirSync(store.objects.directory)) {
    for (const rest of readdirSync(join(store.objects.directory, fan))) {
      if (readFileSync(join(store.objects.directory, fan, rest)).equals(bytes)) return fan + rest;
    }
  }
  throw new Error("no such object");
}

const signed = () => ["--key", at("key.key"), ...validity];
/** A name may have refs of several platforms. */
const names = (store) => {
  const refs = Store.open(store).images.refs();
  return [...new Set(refs.map(({ name }) => name))].join(" ");
};

/** `done` tells from the store whether the command's work is there. */
const scenarios = {
  build: {
    args: (s) => ["build", `dir:${at("new")}`, "--store", s, "--name", "app", ...signed()],
    done: (s) => names(s) === "app old second",
  },
  // One of its layers is remembered. What cannot be remembered is no reason to fail.
  "build-layers": {
    args: (s) => ["build", `oci:${at("more-layers")}`, "--store", s, "--name", "app", ...signed()],
    done: (s) => names(s) === "app old second",
  },
  "build-object": {
    args: (s) => [...scenarios.build.args(s), "--durability", "object"],
    done: (s) => names(s) === "app old second",
  },
  "ref-update": {
    // Another image of a name needs another version.
    args: (s) =>
      [...scenarios.build.args(s), "--version", "1788220801"].map((word) =>
        word === "app" ? "old" : word,
      ),
    done: (s) =>
      Store.open(s).images.resolve("old") === Store.open(at("other")).images.resolve("app"),
  },
  sign: {
    args: (s) => ["sign", "second", "--store", s, ...signed()],
    done: (s) => Store.open(s).readBundles(Store.open(s).images.resolve("second")).length === 2,
  },
  rm: {
    args: (s) => ["rm", "second", "--store", s],
    done: (s) => names(s) === "old",
    again: 7, // it is gone already when the first run got so far
  },
  gc: {
    args: (s) => ["gc", "--store", s],
    done: (s) =>
      Store.open(s).images.list().length === 1 &&
      readdirSync(`${s}/layers/entries`).length === 0 &&
      readdirSync(join(s, "quarantine")).length === 0,
  },
  import: {
    args: (s) => ["import", at("app.tar"), "--store", s, "--key", at("key.pub")],
    done: (s) => names(s) === "app old second",
  },
  create: {
    template: undefined,
    args: (s) => ["build", `dir:${at("new")}`, "--store", s, "--name", "app"],
    done: (s) => names(s) === "app",
  },
  fsck: {
    template: "damaged",
    args: (s) => ["fsck", "--repair", "--from", at("other"), "--threads", "0", "--store", s],
    done: () => true,
  },
};

function freshStore({ template = "template", args }, scenario) {
  const store = at("store");
  rmSync(store, { recursive: true, force: true });
  if (scenario !== "create") spawnSync("cp", ["-a", at(template), store]);
  return { store, argv: args(store) };
}

function strace(argv, ...more) {
  const trace = at("trace");
  rmSync(trace, { force: true });
  const run = spawnSync(
    "strace",
    ["-f", "-qq", "-y", "-s", "0", "-o", trace, ...more, process.execPath, bin, ...argv],
    { encoding: "utf8", env, timeout: 120_000, killSignal: "SIGKILL" },
  );
  const lines = resolveHeldPaths(readFileSync(trace, "utf8").split("\n"));
  return { ...run, lines };
}

/** Of directories read or made one of each kind is enough: there are hundreds. */
function isRepeated(seen, text) {
  const kind = text.replace(/ = .*/, "").replace(/[0-9a-f]{8,}|\b[0-9a-f]{2}\b/g, "X");
  if (seen.has(kind)) return true;
  seen.add(kind);
  return false;
}

/** The calls on the store: name, how many of this name the same thread has made, and the text. */
function listPoints(scenario, name) {
  const { store, argv } = freshStore(scenario, name);
  const { lines, status, stderr } = strace(argv, "-e", `trace=${CALLS.join(",")}`);
  if (status !== 0) throw new Error(`${name} without faults: ${status} ${stderr}`);
  const counts = new Map();
  const seen = new Set();
  const points = [];
  for (const line of lines) {
    const match = /^(\d+) +(\w+)\((.*)/.exec(line);
    if (match === null) continue;
    const [, pid, call, rest] = match;
    const key = `${pid} ${call}`;
    const when = (counts.get(key) ?? 0) + 1;
    counts.set(key, when);
    if (!rest.includes(store)) continue;
    const writes = !call.startsWith("openat") || ONLY_WRITING_OPENS.test(rest);
    if ((!writes || call.startsWith("mkdir")) && isRepeated(seen, call + rest)) continue;
    points.push({ call, when, writes, text: rest.slice(0, 160) });
  }
  return points;
}

const failures = [];

function fail(what, run, why) {
  failures.push(`${what}: ${why}`);
  console.log(
    `FAIL ${what}: ${why}\n  exit ${run.status ?? run.signal}: ${run.stderr.trim().slice(-400)}`,
  );
}

async function checkAfter(what, scenario, store, argv, run, wasError) {
  const mayBeIncomplete = scenario === scenarios.create;
  let opened;
  try {
    opened = Store.open(store);
  } catch (error) {
    if (!mayBeIncomplete) return fail(what, run, `the store cannot be opened: ${error.message}`);
  }
  if (opened !== undefined) {
    if (scenario !== scenarios.fsck) {
      const { problems } = await checkStore(opened, { threads: 0 });
      if (problems.length > 0)
        return fail(what, run, `fsck: ${JSON.stringify(problems).slice(0, 600)}`);
    }
    if (!mayBeIncomplete && !names(store).includes("old"))
      return fail(what, run, "the name old is gone");
  }
  const acknowledged = run.status === 0;
  if (acknowledged && !scenario.done(store))
    return fail(what, run, "reported success, work not done");
  if (wasError) {
    if (run.status === null) return fail(what, run, `died of ${run.signal}`);
    if (/internal error/.test(run.stderr)) return fail(what, run, "internal error");
    if (!acknowledged && !/sealfs: /.test(run.stderr)) return fail(what, run, "no message");
    // What cannot be removed now, the next writer removes.
    const isRemoval = / at (unlink|rmdir)|tmp\/[0-9a-f]{24}".*O_DIRECTORY/.test(what);
    const left = opened === undefined ? [] : readdirSync(join(store, "tmp"));
    if (left.length > 0 && !isRemoval) return fail(what, run, `left in tmp: ${left}`);
  }
  // What a failed call leaves is the same for most errors: one of them stands for the others here.
  if (wasError && !what.includes(" EIO at ")) return;
  const again = sealfs(argv, { encoding: "utf8" });
  if (again.status !== 0 && again.status !== scenario.again)
    return fail(what, again, "second run failed");
  if (!scenario.done(store)) return fail(what, again, "second run did not do its work");
  const { problems } = await checkStore(Store.open(store), { threads: 0 });
  if (problems.length > 0)
    return fail(what, again, `fsck after the second run: ${JSON.stringify(problems)}`);
  if (scenario === scenarios.gc || scenario === scenarios.rm || scenario === scenarios.fsck) return;
  // A single file without a lock of its own is left alone for an hour.
  const left = readdirSync(join(store, "tmp")).filter((entry) => !/^(meta|leaves)-/.test(entry));
  if (left.length > 0) fail(what, again, `the second run left in tmp: ${left}`);
}

/** Whether the fault hit the store and nothing else: other threads count their own calls. */
function hitOnly(lines, store) {
  const injected = lines.filter((line) => line.includes("(INJECTED)"));
  return injected.length > 0 && injected.every((line) => line.includes(store));
}

async function sweep() {
  prepare();
  const chosen = options.scenario?.split(",") ?? Object.keys(scenarios);
  const errors = options.errors === "none" ? [] : options.errors.split(",");
  const [every, offset] = [Number(options.every), Number(options.offset)];
  const totals = { points: 0, kills: 0, errors: 0, missed: 0, tolerated: 0 };
  for (const name of chosen) {
    const scenario = scenarios[name];
    const points = listPoints(scenario, name).filter((_, i) => i % every === offset % every);
    console.log(`${name}: ${points.length} calls`);
    const started = Date.now();
    const count = { kills: 0, errors: 0, missed: 0, tolerated: 0 };
    for (const { call, when, writes, text } of points) {
      if (writes && !options["no-kill"]) {
        const { store, argv } = freshStore(scenario, name);
        const run = strace(
          argv,
          "-e",
          `trace=${call},openat,openat2`,
          "-e",
          `inject=${call}:signal=KILL:when=${when}`,
        );
        if (run.signal === "SIGKILL" || run.status === 137) count.kills += 1;
        else count.missed += 1;
        await checkAfter(
          `${name} killed at ${call} ${when} (${text})`,
          scenario,
          store,
          argv,
          run,
          false,
        );
      }
      for (const error of errors) {
        const { store, argv } = freshStore(scenario, name);
        const run = strace(
          argv,
          "-e",
          `trace=${call},openat,openat2`,
          "--seccomp-bpf",
          "-e",
          `inject=${call}:error=${error}:when=${when}`,
        );
        const isHit = hitOnly(run.lines, store);
        if (isHit) count.errors += 1;
        else count.missed += 1;
        if (isHit && run.status === 0) count.tolerated += 1;
        const real = run.lines.find((line) => line.includes("(INJECTED)")) ?? text;
        const what = `${name} ${error} at ${call} ${when} (${real})`;
        if (options.verbose) console.log(`${what}: ${run.status} ${run.stderr.trim()}`);
        await checkAfter(what, scenario, store, argv, run, isHit);
      }
    }
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(
      `${name}: ${points.length} calls, ${count.kills} kills, ${count.errors} errors ` +
        `(${count.tolerated} tolerated), ${count.missed} missed, ${seconds} s`,
    );
    totals.points += points.length;
    for (const key of Object.keys(count)) totals[key] += count[key];
  }
  console.log(JSON.stringify({ ...totals, failures: failures.length }));
  process.exitCode = failures.length > 0 ? 1 : 0;
}

await sweep();
