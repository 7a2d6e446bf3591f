/**
 * Mounts an image from a registry with nothing of it here, reads from it, and tells how long that took
 * as one line of JSON: until the first byte of a file, and until 5 % of the files were read.
 *
 * Usage: node lazy-reader.mjs SEALFS MOUNT-POINT PULL-ARGUMENT…
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { randomNumbers } from "./tools.mjs";

const [sealfs, mnt, ...pull] = process.argv.slice(2);
const SHARE = 0.05;

const start = performance.now();
const pulled = spawnSync(process.execPath, [sealfs, "pull", ...pull, "--mount", mnt], {
  encoding: "utf8",
});
if (pulled.status !== 0) throw new Error(pulled.stderr);
try {
  const fd = openSync(join(mnt, "usr/bin/perl"), "r");
  readSync(fd, Buffer.alloc(1), 0, 1, 0);
  closeSync(fd);
  const first = performance.now() - start;
  const files = filesBelow(mnt);
  const random = randomNumbers();
  const wanted = files.length * SHARE;
  let bytes = 0;
  for (let i = 0; i < wanted; i++) bytes += readFileSync(files[random(files.length)]).length;
  const share = performance.now() - start;
  const status = spawnSync(process.execPath, [sealfs, "status", mnt, "--json"], {
    encoding: "utf8",
  });
  const received = JSON.parse(status.stdout)[0].fetch.sources[0].received;
  console.log(JSON.stringify({ first, share, files: Math.ceil(wanted), bytes, received }));
} finally {
  spawnSync(process.execPath, [sealfs, "umount", mnt]);
}

function filesBelow(root) {
  const found = [];
  for (const folders = [root]; folders.length > 0;) {
    const folder = folders.pop();
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile()) found.push(path);
    }
  }
  return found.sort();
}
