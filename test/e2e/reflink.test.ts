/** `build dir: --reflink`: objects that share their blocks with the files, where that is possible. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, statSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkStore } from "../../src/store/fsck/fsck.ts";
import { Store } from "../../src/store/store.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";
import { sealfs, sealfsOk } from "../support/run.ts";
import { Disks, hasMaker, noDisks } from "../support/disks.ts";

const reason = noDisks();
let disks: Disks;

beforeEach(() => void (disks = new Disks()));
afterEach(() => disks.close());

const BYTES = 32 * 1024 * 1024;
const content = randomBytes(BYTES);
const used = (path: string) => {
  const { bsize, blocks, bfree } = statfsSync(path);
  return (blocks - bfree) * bsize;
};

/** Builds a directory on `from` into a store on `to`, with and without sharing. */
async function buildBoth(from: string, to: string) {
  const source = join(from, "source");
  mkdirSync(source);
  writeFileSync(join(source, "large"), content, { mode: 0o640 });
  writeFileSync(join(source, "small"), content.subarray(0, 1000));
  writeFileSync(join(source, "tiny"), content.subarray(0, 10));
  writeFileSync(join(source, "empty"), "");
  const build = (name: string, ...more: string[]) =>
    sealfsOk(["build", `dir:${source}`, "--store", join(to, name), "--name", "app", ...more]);
  const plain = build("plain");
  rmSync(join(to, "plain"), { recursive: true });
  const before = used(to);
  const shared = build("shared", "--reflink");
  const store = Store.open(join(to, "shared"));
  expect(shared.stdout).toBe(plain.stdout); // the same image
  expect((await checkStore(store, { threads: 0 })).problems).toEqual([]);
  expect(statSync(store.objects.path(verityDigestOf(content))).mode & 0o7777).toBe(0o444);
  expect(store.readLeaves(verityDigestOf(content))).toHaveLength((BYTES / 4096) * 32);
  return { taken: used(to) - before, source, store };
}

describe.skipIf(reason !== undefined)(`with --reflink (${reason ?? "on disks of its own"})`, () => {
  test.skipIf(!hasMaker("xfs"))(
    "objects take no room of their own on XFS, and files can change afterwards",
    async () => {
      const disk = disks.loop("xfs", 400);
      const { taken, source, store } = await buildBoth(disk, disk);
      expect(taken).toBeLessThan(BYTES / 4);
      writeFileSync(join(source, "large"), "changed");
      store.objects.verify(verityDigestOf(content));
    },
  );

  test.skipIf(!hasMaker("xfs"))("from another file system they are copies", async () => {
    const { taken } = await buildBoth(disks.tmpfs("size=64m"), disks.loop("xfs", 400));
    expect(taken).toBeGreaterThan(BYTES / 2);
  });

  test("where the file system cannot share blocks they are copies", async () => {
    const disk = disks.tmpfs("size=200m");
    const { taken } = await buildBoth(disk, disk);
    expect(taken).toBeGreaterThan(BYTES / 2);
  });
});

test("--reflink with anything but a directory is a wrong argument", () => {
  const file = join(disks.folder(), "dump");
  writeFileSync(file, "/ 4096 40755 2 0 0 0 1.0 - - -\n");
  const store = join(disks.path, "store");
  const { status, stderr } = sealfs(["build", `dump:${file}`, "--store", store, "--reflink"]);
  expect([status, stderr]).toEqual([2, expect.stringContaining("reflink")]);
});
