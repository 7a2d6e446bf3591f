/**
 * What a measurement finds in memory, and what it does not.
 *
 * @module
 */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { serverOf } from "./memory.mjs";
import { run } from "./tools.mjs";

const block = Buffer.alloc(1 << 20);

/** Reads a file to its end. */
export function readWhole(path) {
  const fd = openSync(path, "r");
  while (readSync(fd, block, 0, block.length, null) > 0);
  closeSync(fd);
}

/** Has the kernel forget what it has of a file, where that is not in use. */
export function forget(path) {
  run("dd", [`if=${path}`, "iflag=nocache", "count=0", "status=none"]);
}

/** The files of a bed that content comes from: the large file's object, and the reference images. */
export function sourcesOf({ folder }) {
  const objects = run("find", [`${folder}/store/objects`, "-size", "+32M"])
    .trim()
    .split("\n");
  return [...objects, `${folder}/erofs.img`, `${folder}/ext4.img`].filter((path) =>
    existsSync(path),
  );
}

const QUIET_MS = 100;
const LONGEST_MS = 3000;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until the server of the mount at `mnt` has nothing to do any more: a mount does not wait for
 * all of its threads, and their start is no part of what a reader sees. Its start has a benchmark of
 * its own (mount-start.mjs).
 */
export function settle(mnt) {
  const pid = serverOf(mnt);
  if (pid === undefined) return;
  let before = "";
  for (let waited = 0; waited < LONGEST_MS; waited += QUIET_MS) {
    const used = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13);
    if (used.join() === before) return;
    before = used.join();
    Atomics.wait(nothing, 0, 0, QUIET_MS);
  }
}
