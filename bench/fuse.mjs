/**
 * A mounted image of 50,000 files in each mode: FUSE alone against erofsfuse (which checks nothing) on
 * an image that mkfs.erofs made of the same tree, and the hybrid mode against the kernel's EROFS and
 * overlay without any check. In alternation, each measurement on a fresh mount. Needs root, dist/
 * (npm run build) and the oracles (.ci/oracles).
 *
 * Usage: node bench/fuse.mjs [FILES] [ROUNDS] [THREADS]
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const files = Number(process.argv[2] ?? 50_000);
const rounds = Number(process.argv[3] ?? 5);
const threads = process.argv[4];
const root = new URL("..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "sealfs-bench-"));
const LARGE_BYTES = 64 * 1024 * 1024;
const PER_DIRECTORY = 25;

function oracle(name) {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folders = [...process.env.PATH.split(delimiter), join(cache, "sealfs-oracle/bin")];
  return folders.map((path) => join(path, name)).find((path) => existsSync(path));
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 30, ...options });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** The same numbers in every run. */
let state = 12345;
const random = (below) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

/** A tree like a root file system: mostly small files, a few of 100 KiB, one large. */
function makeTree(path) {
  const noise = Buffer.alloc(1 << 20);
  for (let i = 0; i < noise.length; i++) noise[i] = random(256);
  const paths = [];
  const directories = [];
  for (let i = 0; i < files; i++) {
    const directory = `d${Math.floor(i / PER_DIRECTORY / 50)}/e${Math.floor(i / PER_DIRECTORY)}`;
    if (i % PER_DIRECTORY === 0) {
      mkdirSync(join(path, directory), { recursive: true });
      directories.push(directory);
    }
    const size = random(20) === 0 ? random(100_000) : random(6000);
    const name = `${directory}/file-${i}.txt`;
    const at = random(900_000);
    writeFileSync(
      join(path, name),
      Buffer.concat([Buffer.from(name), noise.subarray(at, at + size)]),
    );
    paths.push(name);
  }
  const large = Buffer.alloc(LARGE_BYTES);
  for (let at = 0; at < LARGE_BYTES; at += noise.length) {
    noise.copy(large, at);
    large.writeUInt32LE(at, at);
  }
  writeFileSync(join(path, "large"), large);
  for (let i = paths.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [paths[i], paths[j]] = [paths[j], paths[i]];
  }
  return { paths, directories };
}

const time = (work) => {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1000; // us
};

const block = Buffer.alloc(1 << 20);

function readWhole(path) {
  const fd = openSync(path, "r");
  while (readSync(fd, block, 0, block.length, null) > 0);
  closeSync(fd);
}

/** Name, unit, number of operations, and the work on a mount point; each on a mount of its own. */
function measurements({ paths, directories }) {
  const some = paths.slice(0, 10_000);
  const readAll = (mnt) => some.forEach((path) => readWhole(join(mnt, path)));
  const seconds = 1e6;
  const mebibytes = LARGE_BYTES / (1 << 20);
  return [
    [["find -ls", "s", seconds, (mnt) => run("find", [mnt, "-ls"])]],
    [
      ["stat, cold", "us", paths.length, (mnt) => paths.forEach((p) => lstatSync(join(mnt, p)))],
      ["stat, again", "us", paths.length, (mnt) => paths.forEach((p) => lstatSync(join(mnt, p)))],
    ],
    [
      [
        "readdir, per entry",
        "us",
        paths.length,
        (mnt) => directories.forEach((d) => readdirSync(join(mnt, d))),
      ],
    ],
    [
      ["open+read+close, 1st", "us", some.length, readAll],
      ["open+read+close, again", "us", some.length, readAll],
      ["sequential 1st, per MiB", "us", mebibytes, (mnt) => readWhole(join(mnt, "large"))],
      ["sequential again, per MiB", "us", mebibytes, (mnt) => readWhole(join(mnt, "large"))],
    ],
  ];
}

const mnt = join(folder, "mnt");
const bin = join(root, "bin/sealfs.js");
const erofsfuse = oracle("erofsfuse");
const mkfs = oracle("mkfs.erofs");
function sealfs(name, ...options) {
  const args = ["mount", "bench", mnt, "--store", join(folder, "store")];
  args.push("--key", join(folder, "key.pub"), "--state", "none", ...options);
  if (threads) args.push("--threads", threads);
  return {
    name,
    mount: () => run(process.execPath, [bin, ...args]),
    unmount: () => run(process.execPath, [bin, "umount", mnt]),
  };
}
const systems = [sealfs("fuse", "--mode=fuse")];
// Where the kernel has what it takes.
const preflight = JSON.parse(run(process.execPath, [bin, "preflight", "--json"]));
const has = (mode, promise) =>
  preflight.modes.some((each) => each.mode === mode && each.promise === promise && each.possible);
if (has("hybrid", "block")) systems.push(sealfs("hybrid", "--mode=hybrid"));
if (has("kernel", "metadata")) {
  systems.push(sealfs("unchecked", "--mode=kernel", "--require=metadata"));
}
if (erofsfuse && mkfs) {
  systems.push({
    name: "erofsfuse",
    mount: () => run(erofsfuse, [join(folder, "erofs.img"), mnt], { stdio: "ignore" }),
    unmount: () => run("umount", [mnt]),
  });
}

try {
  mkdirSync(mnt);
  const tree = join(folder, "tree");
  mkdirSync(tree);
  const made = makeTree(tree);
  run(process.execPath, [bin, "keygen", "-o", join(folder, "key")]);
  const { Store } = await import("../dist/store/store.js");
  const store = Store.create(join(folder, "store"));
  const image = join(folder, "image");
  run(process.execPath, [
    bin,
    "mkcomposefs",
    `--digest-store=${store.objects.directory}`,
    tree,
    image,
  ]);
  const { signImage } = await import("../dist/image/sign.js");
  const { readPrivateKey } = await import("../dist/image/key-files.js");
  const { Transaction } = await import("../dist/store/transaction.js");
  const bytes = readFileSync(image);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const { statement, bundle, keyId } = signImage(bytes, {
    name: "bench",
    key: readPrivateKey(join(folder, "key.key")),
    version: 1,
    created: new Date(now - 1000),
    expires: new Date(now + 86_400_000),
  });
  const transaction = Transaction.begin(store, { durability: "none" });
  transaction.put(statement.verityDigest, bytes);
  const bundles = [{ keyId, bytes: bundle, name: "bench" }];
  transaction.publish({ image: statement.verityDigest, name: "bench", bundles });
  transaction.close();
  if (mkfs) run(mkfs, [join(folder, "erofs.img"), tree]);
  rmSync(tree, { recursive: true });

  const results = new Map();
  const note = (what, unit, name, value) => {
    const row = results.get(what) ?? { unit, values: {} };
    results.set(what, row);
    (row.values[name] ??= []).push(value);
  };
  for (let round = 0; round < rounds; round++) {
    for (const group of measurements(made)) {
      for (const system of round % 2 === 0 ? systems : systems.toReversed()) {
        const mounting = time(() => {
          system.mount();
          readdirSync(mnt);
        });
        note("mount to first ls", "ms", system.name, mounting / 1000);
        try {
          for (const [what, unit, count, work] of group) {
            note(what, unit, system.name, time(() => work(mnt)) / count);
          }
        } finally {
          system.unmount();
        }
      }
    }
  }
  console.log(`fuse, ${files} files, ${rounds} rounds: median (best)`);
  for (const [what, { unit, values }] of results) {
    const cells = Object.entries(values).map(
      ([name, all]) => `${name} ${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)})`,
    );
    const ratio = (one, other) => {
      if (!values[one] || !values[other]) return [];
      const ratios = values[one].map((value, i) => value / values[other][i]);
      return [`${one}/${other} ${median(ratios).toFixed(2)}`];
    };
    const ratios = [...ratio("fuse", "erofsfuse"), ...ratio("hybrid", "unchecked")];
    console.log(`${what.padEnd(26)} ${cells.join(", ")} ${unit}; ${ratios.join(", ")}`);
  }
  console.log("fuse, hybrid: every block checked; unchecked: the kernel's EROFS and overlay alone");
  if (!erofsfuse || !mkfs) console.log("erofsfuse or mkfs.erofs is not installed");
} finally {
  spawnSync("umount", ["-l", mnt]);
  rmSync(folder, { recursive: true, force: true });
}
