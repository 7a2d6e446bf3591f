/** Reading ahead: in every mode, and nobody waits for it. */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { HardLink } from "../../src/tree/inode.ts";
import { sealfs } from "../support/run.ts";
import { ways } from "../support/modes.ts";
import { type MountBed, newDirectory, noMount, useMountBed } from "../support/mount-bed.ts";
import { errnoOf } from "../support/mounted-view.ts";
import { processesOf } from "../support/processes.ts";
import { statusOf } from "../support/status.ts";
import { until } from "../support/until.ts";

const reason = noMount();
const blocked = fileURLToPath(new URL("../support/blocked-prefetch.cjs", import.meta.url));
let bed: MountBed;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  const directory = newDirectory();
  for (let i = 0; i < 20; i++) {
    const file = bed.file(Buffer.alloc(1000 * i + 100, `content ${i} `));
    (i < 5 ? directory : root).entries.set(ascii(`f${i}`), file);
  }
  root.entries.set(ascii("dir"), directory);
  // Equal content in an inode of its own.
  root.entries.set(ascii("twin"), bed.file(Buffer.alloc(19_100, "content 19 ")));
  const missing = bed.file(Buffer.alloc(7000, "missing"));
  root.entries.set(ascii("missing"), missing);
  bed.addTree("app:1", root);
  rmSync(bed.objectOf(missing));

  const large = newDirectory();
  large.entries.set(ascii("large"), bed.file(Buffer.alloc(300_000, "large ")));
  const names = newDirectory();
  const one = bed.file(Buffer.alloc(70, "one"));
  one.nlink = 8001;
  large.entries.set(ascii("one"), one);
  for (let i = 0; i < 8000; i++) names.entries.set(ascii(`name${i}`), new HardLink(one));
  large.entries.set(ascii("names"), names);
  bed.addTree("large:1", large);
});

const finished = async (target: string) => {
  await until(async () => (await statusOf(target)).prefetch?.state === "done");
  return (await statusOf(target)).prefetch;
};

describe.each(ways)("mode $name", ({ mode, args, missing }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));

  test("all: every object is read and checked, before any reader comes", async () => {
    const target = bed.mount("app:1", [...args, "--prefetch=all"]);
    const bytes = Array.from({ length: 20 }, (_, i) => 1000 * i + 100).reduce((a, b) => a + b);
    expect(await finished(target)).toEqual({
      state: "done",
      objects: 21, // the twins are one
      bytes: bytes + 7000,
      doneObjects: 20,
      doneBytes: bytes,
      failed: 1,
      absent: 0,
    });
    expect(bed.readLog().some((line) => /\/missing: PREFETCH: object/.test(line))).toBe(true);
    for (const name of ["f19", "twin"]) {
      expect(readFileSync(join(target, name)).length).toBe(19_100);
    }
    // Readers find the leaf hashes.
    if (mode !== "kernel") expect((await statusOf(target)).counters?.hashedBytes).toBe(0);
    expect(errnoOf(() => readFileSync(join(target, "missing")))).toBe(mode === "kernel" ? "ENOENT" : "EIO"); // prettier-ignore
    bed.unmount(target);
    bed.clearLog();
  });

  test("list: what is in it, and what is in the directories in it", async () => {
    const list = join(bed.path, "list");
    writeFileSync(list, "/f19\ndir\n\nno/such\n/f19\n");
    const target = bed.mount("app:1", [...args, `--prefetch=list:${list}`]);
    const bytes = 19_100 + 100 + 1100 + 2100 + 3100 + 4100;
    expect(await finished(target)).toMatchObject({ objects: 6, bytes, doneObjects: 6, absent: 1 });
    expect(bed.readLog().some((line) => /not in the image: no\/such/.test(line))).toBe(true);
    bed.unmount(target);
    bed.clearLog();
  });

  test("a large directory is listed while objects are still being hashed", async () => {
    const target = bed.directory();
    const mount = bed.args("large:1", target, [...args, "--prefetch=all"]);
    const env = { ...process.env, NODE_OPTIONS: `--require ${blocked}` };
    const { status } = spawnSync(process.execPath, mount, { env, stdio: "ignore" });
    expect(status).toBe(0);
    expect(readdirSync(join(target, "names")).length).toBe(8000);
    const hashing = { prefetch: { state: "running", objects: 2 } };
    await until(async () => expect(await statusOf(target)).toMatchObject(hashing));
    bed.unmount(target); // which ends it; of the kernel's own mounts nobody can be sure at once
    await until(() => expect(processesOf(JSON.stringify(target))).toEqual([]));
  });
});

test("other words, and lists that are not there, mount nothing", () => {
  const target = bed.directory();
  const args = ["mount", "app:1", target, "--store", bed.store.path, "--key", bed.keyFile];
  expect(sealfs([...args, "--prefetch=some"])).toMatchObject({ status: 2 });
  expect(sealfs([...args, "--prefetch=list:"])).toMatchObject({ status: 2 });
  expect(sealfs([...args, `--prefetch=list:${bed.path}/none`])).toMatchObject({ status: 7 });
  expect(sealfs([...args, `--prefetch=list:${bed.path}`])).toMatchObject({ status: 4 });
});
