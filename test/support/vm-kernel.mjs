// Runs inside the virtual machine of vm.sh, in a directory that holds dist/ and node_modules/: mounts by the
// kernel with fs-verity, what attackers do to the objects, and what readers get. Prints one JSON document.
import { spawnSync } from "node:child_process";
import {
  closeSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { writeImage } from "./dist/erofs/writer.js";
import { signImage } from "./dist/sign/sign-image.js";
import { Image } from "./dist/erofs/image.js";
import { objectsOf } from "./dist/erofs/object-list.js";
import { mountOverlay } from "./dist/mount/kernel/layers.js";
import { mountStack } from "./dist/mount/kernel/stack.js";
import { preflight } from "./dist/mount/preflight.js";
import { probeKernel } from "./dist/mount/probe/kernel.js";
import { protectObject, protectObjects } from "./dist/store/protect-objects.js";
import { Store } from "./dist/store/store.js";
import { Transaction } from "./dist/store/transaction.js";
import { PrivateKey } from "./dist/trust/private-key.js";
import { unmountTarget } from "./dist/sys/mount-calls.js";
import { Inode, S_IFREG, newDirectory } from "./dist/tree/inode.js";
import { objectPath, verityDigestOf } from "./dist/verity/index.js";

const result = {};
const store = Store.create("/scratch/store");
const content = (name, size = 20_000) => Buffer.alloc(size, `content of ${name}, `);
const pathOf = (name) => store.objects.path(verityDigestOf(content(name), "sha256"));
const put = (name, bytes = content(name)) => writeFileSync(pathOf(name), bytes, { mode: 0o444 });
const names = ["good", "late", "plain", "wrong", "replaced", "exchanged", "flipped", "missing"];

function treeImage(files) {
  const root = newDirectory();
  for (const name of files) {
    const inode = new Inode(S_IFREG | 0o644);
    inode.size = BigInt(content(name).length);
    inode.digest = verityDigestOf(content(name), "sha256");
    inode.payload = objectPath(inode.digest);
    root.entries.set(name, inode);
  }
  const inline = new Inode(S_IFREG | 0o644);
  inline.content = Buffer.from("inline\n");
  inline.size = 7n;
  root.entries.set("inline", inline);
  return writeImage(root);
}

function outcome(work) {
  try {
    return work() ?? "ok";
  } catch (error) {
    return error.code ?? String(error);
  }
}
const read = (path, name) =>
  outcome(() => (readFileSync(path).equals(content(name)) ? "right" : "WRONG BYTES"));
const open = (path, flags) => outcome(() => closeSync(openSync(path, flags)));
const dropCaches = () => spawnSync("sh", ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"]);
const mount = (options) =>
  mountStack(image, {
    source: "sealfs:vm",
    target,
    objects: [store.objects.directory],
    images: [store.objects],
    requireVerity: true,
    ...options,
  });
const loops = () =>
  readdirSync("/sys/block").filter((name) => existsSync(`/sys/block/${name}/loop/backing_file`));
const bytes = treeImage(names);
const image = { bytes, digest: verityDigestOf(bytes, "sha256") };
const target = "/scratch/mnt";
mkdirSync(target);

// Objects, and fs-verity on them.
for (const name of names) if (name !== "missing") put(name);
put("wrong", content("something else"));
const unprotected = ["plain", "wrong"].map((name) => verityDigestOf(content(name), "sha256"));
const all = [...objectsOf(Image.open(bytes)).keys()];
const protect = all.filter((digest) => !unprotected.includes(digest));
result.protect = outcome(() => protectObjects(store, protect));
result.protectAgain = outcome(() => protectObject(store, verityDigestOf(content("good"))));
result.protectWrong = outcome(() => protectObject(store, verityDigestOf(content("wrong"))));
writeFileSync(store.objects.path(image.digest), bytes, { mode: 0o444 });
result.protectImage = outcome(() => protectObject(store, image.digest));

const stacks = [];
for (const style of ["descriptors", "paths", "option"]) {
  for (const images of [[], [store.objects]]) {
    mount({ images, style });
    const row = { style, loops: loops().length, files: {} };
    for (const name of names) {
      if (name !== "late" && name !== "exchanged")
        row.files[name] = read(`${target}/${name}`, name);
    }
    row.inline = readFileSync(`${target}/inline`, "utf8");
    row.options = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .find((line) => line.includes(target))
      .split(" ")[3];
    unmountTarget(target);
    row.loopsAfter = loops().length;
    stacks.push(row);
  }
}
result.stacks = stacks;

// What is done to objects while they are mounted.
mount();
const tamper = (result.tamper = {});
const good = pathOf("good");
chmodSync(good, 0o644);
tamper.write = open(good, constants.O_RDWR);
tamper.truncate = outcome(() => truncateSync(good, 5));
const held = openSync(`${target}/replaced`, "r");
for (const name of ["replaced", "exchanged"]) {
  const evil = content("evil");
  writeFileSync(`${pathOf(name)}.new`, evil, { mode: 0o444 });
  if (name === "exchanged") spawnSync("fsverity", ["enable", `${pathOf(name)}.new`]);
  renameSync(`${pathOf(name)}.new`, pathOf(name));
}
tamper.heldOpen = outcome(() =>
  readFileSync(held).equals(content("replaced")) ? "right" : "WRONG BYTES",
);
closeSync(held);
dropCaches();
tamper.replaced = read(`${target}/replaced`, "replaced");
tamper.exchanged = read(`${target}/exchanged`, "exchanged");
rmSync(pathOf("late"));
tamper.deleted = read(`${target}/late`, "late");
// The image file itself.
const imagePath = store.objects.path(image.digest);
chmodSync(imagePath, 0o644);
tamper.imageWrite = open(imagePath, constants.O_RDWR);
writeFileSync(`${imagePath}.new`, treeImage(["good"]));
renameSync(`${imagePath}.new`, imagePath);
dropCaches();
tamper.names = readdirSync(target).toSorted();
tamper.good = read(`${target}/good`, "good");
unmountTarget(target);
mount();
tamper.imageReplacedBefore = { names: readdirSync(target).toSorted(), loops: loops().length };
tamper.replacedRemounted = read(`${target}/replaced`, "replaced");

// One block of the disk under an object.
const map = spawnSync("filefrag", ["-b4096", "-v", pathOf("flipped")]).stdout.toString();
const block = Number(/^\s*0:\s+\d+\.\.\s*\d+:\s+(\d+)\.\./m.exec(map)?.[1]);
const device = spawnSync("findmnt", ["-n", "-o", "SOURCE", "/scratch"]).stdout.toString().trim();
dropCaches();
const disk = openSync(device, "r+");
writeSync(disk, "!", (block + 2) * 4096 + 17);
closeSync(disk);
dropCaches();
const part = (at) => {
  const args = [`if=${target}/flipped`, "bs=4096", `skip=${at}`, "count=1", "status=none"];
  const { status, stdout, stderr } = spawnSync("dd", args);
  if (status !== 0) return stderr.toString().includes("Input/output error") ? "EIO" : "other";
  const right = content("flipped").subarray(at * 4096, at * 4096 + 4096);
  return stdout.equals(right) ? "right" : "WRONG BYTES";
};
tamper.disk = { device, block, parts: [4, 0, 2].map(part) };
unmountTarget(target);

// A writable overlay still refuses what it should.
for (const name of ["upper", "work"]) mkdirSync(`/scratch/${name}`);
mount({ writable: { upper: "/scratch/upper", work: "/scratch/work" } });
result.writable = {
  write: outcome(() => writeFileSync(`${target}/new`, "new")),
  append: outcome(() => writeFileSync(`${target}/good`, "more", { flag: "a" })),
  appended: outcome(() => String(readFileSync(`${target}/good`).length)),
  plain: read(`${target}/plain`, "plain"),
  appendPlain: outcome(() => writeFileSync(`${target}/plain`, "more", { flag: "a" })),
};
unmountTarget(target);

// Without the requirement the same files are read unchecked: the tests above can fail.
mount({ requireVerity: false });
result.unchecked = {
  plain: read(`${target}/plain`, "plain"),
  wrong: read(`${target}/wrong`, "wrong"),
};
unmountTarget(target);

// The real command, which chooses by itself.
const key = new PrivateKey(new Uint8Array(32).fill(7));
writeFileSync("/scratch/key.pub", key.publicKey.toPem());
const second = Store.create("/scratch/second");
const app = treeImage(["good", "missing"]);
const now = Math.floor(Date.now() / 1000) * 1000;
const signed = signImage(app, {
  name: "app:1",
  key,
  version: 1,
  created: new Date(now - 60_000),
  expires: new Date(now + 86_400_000),
});
const transaction = Transaction.begin(second, { durability: "none" });
transaction.put(verityDigestOf(content("good"), "sha256"), content("good"));
transaction.put(signed.statement.verityDigest, app);
transaction.publish({
  image: signed.statement.verityDigest,
  name: "app:1",
  bundles: [{ keyId: signed.keyId, bytes: signed.bundle, name: "app:1" }],
});
transaction.close();
const sealfs = (...args) => {
  const run = spawnSync(process.execPath, ["bin/sealfs.js", ...args], { encoding: "utf8" });
  return `${run.status} ${run.stderr.trim().split("\n")[0]}`.trim();
};
result.command = ["auto", "hybrid"].map((mode) => {
  const trust = ["--store", second.path, "--store", store.path, "--key", "/scratch/key.pub"];
  const said = sealfs("mount", "app:1", target, ...trust, `--mode=${mode}`);
  const path = second.objects.path(verityDigestOf(content("good"), "sha256"));
  const good = read(`${target}/good`, "good");
  const missing = read(`${target}/missing`, "missing");
  const write = open(path, constants.O_RDWR);
  return { said, good, missing, write, ended: sealfs("umount", target), loops: loops().length };
});

// What users may wish besides.
const trust = ["--store", second.path, "--store", store.path, "--key", "/scratch/key.pub"];
const wish = (work, ...args) => {
  const said = sealfs("mount", "app:1", target, ...trust, ...args).replace(/^0 mounted .* \(/, "(");
  const got = outcome(work);
  return { said, got, ended: sealfs("umount", target), loops: loops().length };
};
const owner = () => `${statSync(`${target}/good`).uid} ${read(`${target}/good`, "good")}`;
const goodPath = second.objects.path(verityDigestOf(content("good"), "sha256"));
const isNoexec = () =>
  /noexec/.test(
    readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .find((line) => line.includes(target)),
  );
const throughPassthrough = () =>
  [
    read(`${target}/good`, "good"),
    open(goodPath, constants.O_RDWR),
    read(`${target}/missing`, "missing"),
  ].join(" ");
result.wishes = {
  kernel: wish(() => `${owner()} ${isNoexec()}`, "--mode=kernel", "--idmap=0:1000:9", "--noexec"),
  fuse: wish(
    () => `${owner()} ${throughPassthrough()}`,
    "--mode=fuse",
    "--idmap=0:1000:9",
    "--passthrough",
    "--require=open",
  ),
};

// No loop devices: the image is mounted as it lies in the store.
writeFileSync("/scratch/nothing", "");
spawnSync("mount", ["--bind", "/scratch/nothing", "/dev/loop-control"]);
result.noLoop = {
  probe: probeKernel(store.path).image,
  mount: wish(() => read(`${target}/good`, "good")),
};
spawnSync("umount", ["/dev/loop-control"]);

result.preflight = preflight(store.path);
// A kernel that mounts with verity=require and does not keep to it.
const faulty = (erofs, options, style) =>
  mountOverlay(erofs, { ...options, requireVerity: false }, style);
result.faulty = probeKernel(store.path, { mountOverlay: faulty }).enforcement;
result.left = { loops: loops().length, tmp: readdirSync(`${store.path}/tmp`).length };
console.log(JSON.stringify(result));
