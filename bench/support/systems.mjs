/**
 * The ways to mount a bed that the benchmarks of mounts compare, as far as this machine has them.
 *
 * @module
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { oracle, run, sealfs } from "./tools.mjs";
import { uncheckedSealfs } from "./unchecked.mjs";

/**
 * A way to mount.
 *
 * @typedef {object} System
 * @property {string} name
 * @property {string} mnt its mount point
 * @property {() => void} mount
 * @property {boolean} [largeOnly] it has the large file and nothing else
 * @property {() => void} unmount
 */

/** `sealfs mount` with options; `bin` is another installation's command. */
export function sealfsSystem(name, { folder }, options = [], bin = sealfs) {
  const mnt = mountPoint(folder, name);
  const args = ["mount", "bench", mnt, "--store", join(folder, "store")];
  args.push("--key", join(folder, "key.pub"), "--state", "none", ...options);
  return {
    name,
    mnt,
    mount: () => run(process.execPath, [bin, ...args]),
    unmount: () => run(process.execPath, [bin, "umount", mnt]),
  };
}

/** Every way, ours and others. */
export function allSystems(bed) {
  const unchecked = uncheckedSealfs(bed.folder);
  const systems = [
    sealfsSystem("fuse", bed, ["--mode=fuse"]),
    sealfsSystem("unchecked", bed, ["--mode=fuse"], unchecked),
  ];
  const preflight = JSON.parse(run(process.execPath, [sealfs, "preflight", "--json"]));
  const has = (mode, promise) =>
    preflight.modes.some((each) => each.mode === mode && each.promise === promise && each.possible);
  if (has("hybrid", "block")) {
    systems.push(sealfsSystem("hybrid", bed, ["--mode=hybrid"]));
    const bare = sealfsSystem("unchecked-hybrid", bed, ["--mode=hybrid"], unchecked);
    systems.push({ ...bare, largeOnly: true });
  }
  if (has("kernel", "metadata")) {
    systems.push(sealfsSystem("kernel", bed, ["--mode=kernel", "--require=metadata"]));
  }
  if (has("fuse", "open"))
    systems.push(sealfsSystem("passthrough", bed, PASSTHROUGH), backing(bed));
  return [...systems, ...otherSystems(bed)];
}

const PASSTHROUGH = ["--mode=fuse", "--require=open", "--passthrough"];

/** The large file's object itself, as it lies in the store. */
function backing({ folder }) {
  const mnt = mountPoint(folder, "backing");
  const objects = run("find", [join(folder, "store/objects"), "-size", "+32M"]).trim();
  rmSync(join(mnt, "large"), { force: true });
  symlinkSync(objects, join(mnt, "large"));
  const nothing = () => undefined;
  return { name: "backing", mnt, mount: nothing, unmount: nothing, largeOnly: true };
}

function otherSystems({ folder }) {
  const systems = [];
  const add = (name, program, file, args) => {
    const path = oracle(program);
    const mnt = mountPoint(folder, name);
    if (!path || !existsSync(join(folder, file))) return;
    const mount = () => run(path, [...args, join(folder, file), mnt], { stdio: "ignore" });
    systems.push({ name, mnt, mount, unmount: () => run("umount", [mnt]) });
  };
  add("composefs", "mount.composefs", "image", ["-o", `basedir=${folder}/store/objects`]);
  add("erofsfuse", "erofsfuse", "erofs.img", []);
  add("ext4", "mount", "ext4.img", ["-o", "loop,ro"]);
  return systems;
}

function mountPoint(folder, name) {
  const mnt = join(folder, `mnt-${name}`);
  mkdirSync(mnt, { recursive: true });
  return mnt;
}
