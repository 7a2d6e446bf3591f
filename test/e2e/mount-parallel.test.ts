/** Several mounts on one directory at the same time. */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { type MountBed, newDirectory, noMount, useMountBed } from "../support/mount-bed.ts";
import { bin, runAllNode, sealfs } from "../support/run.ts";

let bed: MountBed;
useMountBed(noMount(), (made) => {
  bed = made;
  const root = newDirectory();
  root.entries.set(ascii("file"), bed.file(Buffer.alloc(500, "file ")));
  bed.addTree("app:1", root);
  bed.addTree("empty:1", newDirectory());
});

const mountsOn = (target: string) =>
  readFileSync("/proc/self/mountinfo", "utf8").split(` ${target} `).length - 1;

test.each([
  ["app:1", "--mode=fuse"],
  ["app:1", "--mode=auto"],
  ["empty:1", "--mode=fuse"], // which leaves the directory as empty as it was
  ["app:1", "--transport=fusermount"],
])("one of five wins, of %s with %s", async (name, mode) => {
  const target = bed.directory();
  const codes = await runAllNode([1, 2, 3, 4, 5].map(() => bed.args(name, target, [mode])));
  expect(codes.filter((code) => code === 0).length).toBe(1);
  expect(mountsOn(target)).toBe(1);
  bed.unmount(target);
  expect(mountsOn(target)).toBe(0);
  expect(readdirSync(target)).toEqual([]);
});

test("two images on one directory: only one is there, and it is whole", async () => {
  const target = bed.directory();
  const names = ["app:1", "empty:1"];
  const codes = await runAllNode(names.map((name) => bed.args(name, target)));
  expect(codes.filter((code) => code === 0).length).toBe(1);
  const won = names[codes.indexOf(0)]!;
  expect(readdirSync(target)).toEqual(won === "app:1" ? ["file"] : []);
  bed.unmount(target);
});

test("a second one is told that the first is there, unless it asked to lie over it", () => {
  for (const name of ["empty:1", "app:1"]) {
    const target = bed.mount(name);
    const { status, stderr } = sealfs(bed.args("app:1", target).slice(1));
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`sealfs:${name} is mounted there already`));
    expect(stderr).toMatch(/--nonempty/);
    bed.mount("app:1", ["--nonempty"], target);
    expect(mountsOn(target)).toBe(2);
    for (const _ of [1, 2]) spawnSync(process.execPath, [bin, "umount", target]);
    expect(mountsOn(target)).toBe(0);
  }
});
