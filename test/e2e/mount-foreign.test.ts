/** A mount whose objects lie in a directory that mkcomposefs made. */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { afterAll, beforeEach, expect, test } from "vitest";
import { newDirectory } from "../../src/tree/inode.ts";
import { objectPath, verityDigestOf } from "../../src/verity/index.ts";
import { MountBed, noMount } from "../support/mount-bed.ts";

const reason = noMount();
beforeEach((context) => context.skip(reason !== undefined, reason));
const bed = new MountBed();
afterAll(() => bed.close());

test("is named, and read like a store's own; a wrong object is an error", () => {
  const [right, wrong] = ["right", "wrong"].map((text) => Buffer.from(`${text} `.repeat(3000)));
  const root = newDirectory();
  root.entries.set("right" as never, bed.file(right!));
  root.entries.set("wrong" as never, bed.file(wrong!));
  bed.addTree("app", root);
  const foreign = join(bed.path, "foreign");
  for (const content of [right!, wrong!]) {
    const path = join(foreign, objectPath(verityDigestOf(content)));
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content === right ? content : Buffer.alloc(content.length, 1));
    rmSync(bed.store.objects.path(verityDigestOf(content)));
  }
  const before = readdirSync(foreign, { recursive: true }).length;
  const directory = bed.directory();
  const [bin, ...args] = bed.args("app", directory, ["--store", foreign]);
  const mounted = spawnSync(process.execPath, [bin!, ...args], { encoding: "utf8" });
  expect([mounted.status, mounted.stderr]).toEqual([
    0,
    expect.stringContaining(`store ${foreign}: an object directory of mkcomposefs, only read`),
  ]);
  expect(readFileSync(join(directory, "right"))).toEqual(right);
  expect(() => readFileSync(join(directory, "wrong"))).toThrow(/EIO/);
  bed.unmount(directory);
  expect(readdirSync(foreign, { recursive: true })).toHaveLength(before);
});
