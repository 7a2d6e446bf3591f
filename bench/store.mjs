// What durability costs: 2000 objects of 4 KiB published with each kind of it, and the ways that it was
// not built; then the speed of fsck beside sha256sum on one processor.
//
// Usage: node bench/store.mjs [--objects N] [--runs N] [--mib N]; TMPDIR says on which disk
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Store } from "../dist/store/store.js";
import { Transaction } from "../dist/store/transaction.js";
import { loadLibc } from "../dist/sys/koffi.js";
import { FileSystemSync } from "../dist/sys/syncfs.js";
import { verityDigestOf } from "../dist/verity/hasher.js";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "2000" },
    runs: { type: "string", default: "5" },
    mib: { type: "string", default: "512" },
  },
});
const runs = Number(values.runs);
const root = mkdtempSync(join(tmpdir(), "sealfs-bench-"));
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];

function timed(work) {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

let count = 0;
const fresh = () => join(root, String((count += 1)));

function settle() {
  const fileSystem = new FileSystemSync(root);
  fileSystem.sync();
  fileSystem.close();
}

/** New objects each time; hashed beforehand, as that is no matter of durability. */
function makeObjects() {
  return Array.from({ length: Number(values.objects) }, () => {
    const content = randomBytes(4096);
    return [verityDigestOf(content), content];
  });
}

function publish(store, objects, durability) {
  const transaction = Transaction.begin(store, { durability });
  try {
    for (const [digest, content] of objects) transaction.put(digest, content);
    transaction.publish();
  } finally {
    transaction.close();
  }
}

/** As others do it: each file by itself, then its directory. */
function eachByItself(store, objects) {
  for (const [digest, content] of objects) {
    const target = store.objects.path(digest);
    const from = `${store.path}/tmp/x`;
    const fd = openSync(from, "wx", 0o444);
    writeSync(fd, content);
    fsyncSync(fd);
    closeSync(fd);
    renameSync(from, target);
    const directory = openSync(join(target, ".."), "r");
    fsyncSync(directory);
    closeSync(directory);
  }
}

const O_TMPFILE = 0o20200000;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/** One sync for all, but files without a name until they are linked: each stays open. */
function withoutNames(store, objects) {
  const linkat = loadLibc().func(
    "int linkat(int from, const void *path, int to, const void *target, int flags)",
  );
  const fileSystem = new FileSystemSync(store.path);
  const open = [];
  for (const [digest, content] of objects) {
    const fd = openSync(`${store.path}/tmp`, constants.O_RDWR | O_TMPFILE, 0o444);
    writeSync(fd, content);
    open.push([fd, digest]);
  }
  fileSystem.sync();
  for (const [fd, digest] of open) {
    const from = Buffer.from(`/proc/self/fd/${fd}\0`);
    const to = Buffer.from(`${store.objects.path(digest)}\0`);
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) !== 0) throw new Error("linkat");
    closeSync(fd);
  }
  fileSystem.sync();
  fileSystem.close();
}

/** The same with names and renames, and nothing else that a transaction does. */
function withNames(store, objects) {
  const fileSystem = new FileSystemSync(store.path);
  const staging = `${store.path}/tmp/bench`;
  mkdirSync(staging);
  objects.forEach(([, content], i) => {
    const fd = openSync(`${staging}/${i}`, "wx", 0o444);
    writeSync(fd, content);
    closeSync(fd);
  });
  fileSystem.sync();
  objects.forEach(([digest], i) => renameSync(`${staging}/${i}`, store.objects.path(digest)));
  fileSystem.sync();
  fileSystem.close();
}

const ways = {
  none: (store, objects) => publish(store, objects, "none"),
  "none + one sync": (store, objects) => {
    publish(store, objects, "none");
    settle();
  },
  transaction: (store, objects) => publish(store, objects, "transaction"),
  "bare renames": withNames,
  "bare O_TMPFILE": withoutNames,
  object: (store, objects) => publish(store, objects, "object"),
  "each by itself": eachByItself,
};

function benchDurability() {
  const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let run = 0; run < runs; run++) {
    for (const [way, work] of Object.entries(ways)) {
      const store = Store.create(fresh());
      const objects = makeObjects();
      settle();
      times[way].push(timed(() => work(store, objects)));
    }
  }
  const medians = Object.fromEntries(Object.entries(times).map(([way, all]) => [way, median(all)]));
  console.log(`${values.objects} objects of 4 KiB, median of ${runs}, seconds:`);
  for (const [way, time] of Object.entries(medians)) {
    console.log(
      `  ${way.padEnd(18)} ${time.toFixed(3)}  (${(time / medians.transaction).toFixed(2)} x)`,
    );
  }
  const bound = medians["none + one sync"];
  console.log(`  transaction / (none + one sync): ${(medians.transaction / bound).toFixed(2)}`);
  console.log(
    `  each by itself / transaction: ${(medians["each by itself"] / medians.transaction).toFixed(1)}`,
  );
}

function command(...argv) {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync("taskset", ["-c", "0", ...argv], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${argv[0]}: ${stderr}`);
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function benchFsck() {
  const source = fresh();
  mkdirSync(source);
  const mib = Number(values.mib);
  for (let i = 0; i < mib; i += 4) writeFileSync(join(source, `f${i}`), randomBytes(4 << 20));
  const store = fresh();
  const bin = fileURLToPath(new URL("../bin/sealfs.js", import.meta.url));
  command(process.execPath, bin, "build", `dir:${source}`, "--store", store, "--name", "app");
  const objects = readdirSync(join(store, "objects"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const times = { sha256sum: [], fsck: [] };
  for (let run = 0; run < runs; run++) {
    times.sha256sum.push(command("sha256sum", ...objects));
    times.fsck.push(command(process.execPath, bin, "fsck", "--threads", "0", "--store", store));
  }
  const [reference, own] = [median(times.sha256sum), median(times.fsck)];
  console.log(`${mib} MiB in objects of 4 MiB on one processor, cached, median of ${runs}:`);
  console.log(
    `  sha256sum ${(mib / reference).toFixed(0)} MiB/s, fsck ${(mib / own).toFixed(0)} MiB/s`,
  );
  console.log(`  fsck / sha256sum: ${(own / reference).toFixed(2)} of its time`);
}

try {
  benchDurability();
  benchFsck();
} finally {
  rmSync(root, { recursive: true, force: true });
}
