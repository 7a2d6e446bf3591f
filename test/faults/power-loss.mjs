// Power loss: a store on a file system of its own, on a loop device, that is shut down without
// warning (FS_IOC_SHUTDOWN) while a writer publishes, removes and collects. Flag 2 drops everything
// that is not on the disk, flag 1 writes the journal but no data. After each remount: what the writer
// was told is done is there, what it has not touched is unchanged, fsck finds nothing wrong, and the
// next writer goes on with the same store.
//
// node test/faults/power-loss.mjs [--cycles N] [--fs ext4,ext4-writeback,xfs] [--durability none]
// Needs root, loop devices and mkfs. With --durability none it must fail: that shows that it can.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkStore } from "../../dist/store/fsck/fsck.js";
import { Store } from "../../dist/store/store.js";
import { objectsOfStored } from "../../dist/store/stored-image.js";
import { loadLibc } from "../../dist/sys/koffi.js";

const { values: options } = parseArgs({
  options: {
    cycles: { type: "string", default: "1000" },
    fs: { type: "string", default: "ext4,ext4-writeback,xfs" },
    durability: { type: "string", default: "transaction" },
  },
});

// In a mount namespace of its own: one that is made meanwhile would get a copy of our mounts, and keep a
// file system alive that was shut down.
if (process.env.SEALFS_POWER_LOSS === undefined) {
  const { status } = spawnSync(
    "unshare",
    ["--mount", "--propagation", "private", process.execPath, ...process.argv.slice(1)],
    { stdio: "inherit", env: { ...process.env, SEALFS_POWER_LOSS: "1" } },
  );
  process.exit(status ?? 1);
}

const FS_IOC_SHUTDOWN = 0x8004587d;
const libc = loadLibc();
const ioctl = libc.func("int ioctl(int fd, unsigned long request, void *argument)");

const kinds = {
  ext4: { mkfs: ["mkfs.ext4", "-q", "-F"], mount: "defaults", mib: 64 },
  "ext4-writeback": {
    mkfs: ["mkfs.ext4", "-q", "-F"],
    mount: "data=writeback,noauto_da_alloc,commit=300",
    mib: 64,
  },
  xfs: { mkfs: ["mkfs.xfs", "-q", "-f"], mount: "defaults", mib: 320 },
};

const writer = fileURLToPath(new URL("power-writer.mjs", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "sealfs-power-"));
const disk = join(root, "mnt");
mkdirSync(disk);

function must(...argv) {
  const run = spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${argv.join(" ")}: ${run.error ?? run.stderr}`);
}

/**
 * Whoever still looks at the file system that was shut down keeps it alive for a moment: then the mount
 * is of that one, and gives nothing but errors.
 */
async function mount(kind) {
  for (let i = 0; ; i++) {
    must("mount", "-o", `loop,${kinds[kind].mount}`, join(root, "disk"), disk);
    try {
      readdirSync(disk);
      if (existsSync(join(disk, "store"))) readFileSync(join(disk, "store/meta.json"));
      return;
    } catch (error) {
      if (i === 100) throw error;
      await unmount();
      await sleep(100);
    }
  }
}

async function unmount() {
  for (let i = 0; i < 1000; i++) {
    if (spawnSync("umount", [disk]).status === 0) return;
    await sleep(20);
  }
  must("umount", disk);
}

function format(kind) {
  const { mkfs, mib } = kinds[kind];
  writeFileSync(join(root, "disk"), "");
  truncateSync(join(root, "disk"), mib * 1024 * 1024);
  must(...mkfs, join(root, "disk"));
}

function shutDown(flag) {
  const fd = openSync(disk, "r");
  const argument = Buffer.alloc(4);
  argument.writeUInt32LE(flag);
  const result = ioctl(fd, FS_IOC_SHUTDOWN, argument);
  closeSync(fd);
  if (result !== 0) throw new Error(`FS_IOC_SHUTDOWN: errno ${libc.errno()}`);
}

/** What is allowed to be found: of each name the ids that it may have; "" stands for none. */
class Expected {
  #names = new Map();

  take(line) {
    const [verb, name, id] = line.split(" ");
    const now = this.#names.get(name) ?? new Set([""]);
    if (verb === "publishing") this.#names.set(name, new Set([...now, id]));
    if (verb === "published") this.#names.set(name, new Set([id]));
    if (verb === "removing") this.#names.set(name, new Set([...now, ""]));
    if (verb === "removed") this.#names.set(name, new Set([""]));
  }

  /** Compares, and takes what is there as what has to be there from now on. */
  check(refs) {
    const wrong = [];
    for (const [name, allowed] of this.#names) {
      const id = refs.get(name) ?? "";
      if (!allowed.has(id))
        wrong.push(`${name} is ${id || "gone"}, may be ${[...allowed].join(" or ")}`);
      this.#names.set(name, new Set([id]));
    }
    return wrong;
  }
}

/** None for an image that cannot be read: fsck has said so. */
function objectsOf(store, id) {
  try {
    return [...objectsOfStored(store, id).keys()];
  } catch {
    return [];
  }
}

async function cycle(kind, expected, turn, flag, waitMs) {
  await mount(kind);
  const child = spawn(
    process.execPath,
    [writer, join(disk, "store"), String(turn), options.durability],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
  const ended = once(child, "close");
  // There is something to be lost.
  while (!/^(published|removed) /m.test(said) && child.exitCode === null) await sleep(2);
  await sleep(waitMs);
  shutDown(flag);
  child.kill("SIGKILL");
  await ended;
  await unmount();
  await mount(kind); // the journal is replayed
  const lines = said.split("\n").slice(0, -1);
  for (const line of lines) expected.take(line);
  const store = Store.open(join(disk, "store"));
  const wrong = expected.check(new Map(store.images.refs().map(({ name, id }) => [name, id])));
  const { problems } = await checkStore(store, { threads: 0 });
  // Without ordered data ext4 gives the blocks of a removed file to others before the removal is on
  // the disk. So garbage may come back with foreign content: writers compare what they find.
  const needed = new Set(store.images.list().flatMap(({ id }) => [id, ...objectsOf(store, id)]));
  let garbage = 0;
  for (const problem of problems) {
    if (problem.kind === "object" && !needed.has(problem.digest)) garbage += 1;
    else wrong.push(JSON.stringify(problem));
  }
  const left = readdirSync(join(disk, "store/tmp")).length;
  store.close();
  await unmount();
  const acknowledged = lines.filter((line) => /^(published|removed|collected)/.test(line)).length;
  return { wrong, acknowledged, left, garbage };
}

const totals = { cycles: 0, acknowledged: 0, damaged: 0, interrupted: 0, garbage: 0 };
try {
  const wanted = options.fs.split(",");
  for (const kind of wanted) {
    const cycles = Math.ceil(Number(options.cycles) / wanted.length);
    const count = { acknowledged: 0, damaged: 0, interrupted: 0, garbage: 0 };
    const started = Date.now();
    format(kind);
    await mount(kind);
    Store.create(join(disk, "store")).close();
    await unmount();
    const expected = new Expected();
    for (let i = 0; i < cycles; i++) {
      const flag = 1 + (i % 2);
      const { wrong, acknowledged, left, garbage } = await cycle(
        kind,
        expected,
        i * 3,
        flag,
        Math.random() * 500,
      );
      count.acknowledged += acknowledged;
      count.garbage += garbage;
      count.interrupted += left > 0 ? 1 : 0;
      if (wrong.length === 0) continue;
      count.damaged += 1;
      console.log(`FAIL ${kind} cycle ${i} flag ${flag}: ${wrong.join("; ").slice(0, 800)}`);
    }
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(
      `${kind}: ${cycles} cycles, ${count.acknowledged} acknowledged, ${count.interrupted} with a ` +
        `transaction cut short, ${count.damaged} damaged, ${count.garbage} times bad garbage, ${seconds} s`,
    );
    totals.cycles += cycles;
    for (const key of Object.keys(count)) totals[key] += count[key];
  }
} finally {
  spawnSync("umount", ["-l", disk]);
  rmSync(root, { recursive: true, force: true });
}
console.log(JSON.stringify(totals));
process.exitCode = totals.damaged > 0 ? 1 : 0;
