/** Building into places that fail: full, thin, read-only, not ours; as the command's user sees it. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  lstatSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkStore } from "../../src/store/fsck/fsck.ts";
import { fanOut } from "../../src/store/layout.ts";
import { Store } from "../../src/store/store.ts";
import { bin, sealfs, sealfsOk } from "../support/run.ts";
import { Disks, hasMaker, noDisks } from "../support/disks.ts";
import { readableBin } from "../support/readable-project.ts";

const reason = noDisks();
let disks: Disks;

beforeEach(() => {
  disks = new Disks();
  chmodSync(disks.path, 0o755); // for other users
});
afterEach(() => disks.close());

/** A directory with files of random content. */
function tree(files: number, bytes: number): string {
  const path = disks.folder();
  for (let i = 0; i < files; i++) writeFileSync(join(path, `f${i}`), randomBytes(bytes));
  return path;
}

const build = (source: string, store: string, name: string, ...more: string[]) =>
  sealfs(["build", `dir:${source}`, "--store", store, "--name", name, ...more]);

/** The names are these, all they lead to is right, and nothing is left over. */
async function expectStore(path: string, ...names: string[]) {
  const store = Store.open(path);
  expect(store.images.refs().map(({ name }) => name)).toEqual(names);
  expect((await checkStore(store, { threads: 0 })).problems).toEqual([]);
  expect(readdirSync(join(path, "tmp"))).toEqual([]);
}

const objectModes = (path: string) =>
  fanOut.flatMap((fan) =>
    readdirSync(join(path, "objects", fan)).map(
      (rest) => statSync(join(path, "objects", fan, rest)).mode & 0o7777,
    ),
  );

describe.skipIf(reason !== undefined)(`a store (${reason ?? "with disks of its own"})`, () => {
  test("on a disk that gets full keeps its margin, and what it had", async () => {
    const store = join(disks.tmpfs("size=40m"), "store");
    expect(build(tree(3, 1e6), store, "first").status).toBe(0);
    const full = build(tree(60, 1e6), store, "second");
    expect(full.status).toBe(1);
    expect(full.stderr).toMatch(/expected 1\.0 and 1\.2 MiB to be free, got .* MiB.*--min-free/s);
    await expectStore(store, "first");
    const packed = build(tree(60, 1e6), store, "second", "--min-free", "0");
    expect(packed.stderr).toMatch(/ENOSPC/);
    await expectStore(store, "first");
    expect(build(tree(3, 1e6), store, "second").status).toBe(0); // there is room again
  });

  test("does not begin to import what does not fit", async () => {
    const other = join(disks.folder(), "store");
    sealfsOk(["build", `dir:${tree(20, 1e6)}`, "--store", other, "--name", "app"]);
    const archive = spawnSync(process.execPath, [bin, "export", "app", "--store", other], {
      maxBuffer: 1 << 28,
    }).stdout;
    const store = join(disks.tmpfs("size=19m"), "store");
    const result = sealfs(["import", "--unverified", "--store", store], { input: archive });
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/expected 19 and 0\.6 MiB to be free/);
    await expectStore(store);
  });

  test("on a disk without inodes says so, and keeps what it had", async () => {
    const store = join(disks.tmpfs("nr_inodes=600"), "store");
    expect(build(tree(3, 100), store, "first").status).toBe(0);
    const full = build(tree(500, 100), store, "second");
    expect(full.status).toBe(1);
    expect(full.stderr).toMatch(/ENOSPC/);
    await expectStore(store, "first");
  });

  test.skipIf(!hasMaker("ext4")).each(["transaction", "object"])(
    "on a thin disk, where the sync is what fails, acknowledges nothing (%s)",
    async (durability) => {
      const pool = disks.tmpfs("size=40m");
      const disk = disks.loop("ext4", 200, { on: pool, options: "errors=continue" });
      const store = join(disk, "store");
      expect(build(tree(3, 1e6), store, "first").status).toBe(0);
      const failed = build(tree(60, 1e6), store, "second", "--durability", durability);
      expect(failed.status).toBe(1);
      // A journal that could not be written makes ext4 read-only.
      expect(failed.stderr).toMatch(/sync.*(EIO|ENOSPC|EROFS)|(EIO|ENOSPC|EROFS).*sync/);
      disks.remount(pool, "size=400m");
      const names = Store.open(store)
        .images.refs()
        .map(({ name }) => name);
      expect(names).toEqual(["first"]);
      const { problems } = await checkStore(Store.open(store), { threads: 0 });
      expect(problems).toEqual([]);
    },
  );

  test("that is mounted read-only can be read, and says that it is when written to", () => {
    const own = join(disks.folder(), "store");
    build(tree(2, 1000), own, "app");
    const store = disks.readOnly(own);
    for (const args of [
      ["images", "--store", store],
      ["du", "--store", store],
      ["fsck", "--store", store],
      ["ls", "app", "--store", store],
      ["gc", "--dry-run", "--store", own],
    ]) {
      sealfsOk(args);
    }
    for (const args of [
      ["build", `dir:${tree(1, 100)}`, "--store", store, "--name", "b"],
      ["build", `dir:${tree(1, 100)}`, "--store", join(store, "new"), "--name", "b"],
      ["rm", "app", "--store", store],
      ["gc", "--store", store],
      ["fsck", "--repair", "--store", store],
    ]) {
      const result = sealfs(args);
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(/EROFS|read-only/);
    }
  });

  test("with an object that cannot be removed loses nothing to gc, which says why it ends", async () => {
    const disk = hasMaker("ext4") ? disks.loop("ext4", 64) : disks.folder();
    const store = join(disk, "store");
    build(tree(2, 1000), store, "app");
    build(tree(2, 1000), store, "gone");
    const victims = Store.open(store);
    const id = victims.images.resolve("gone");
    sealfsOk(["rm", "gone", "--store", store]);
    const stuck = victims.objects.path(id);
    const immutable = spawnSync("chattr", ["+i", stuck]);
    if (immutable.status !== 0) return; // no such flag here
    try {
      const result = sealfs(["gc", "--store", store]);
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(/EPERM/);
      expect(victims.images.refs().map(({ name }) => name)).toEqual(["app"]);
      expect((await checkStore(victims, { threads: 0 })).problems).toEqual([]);
    } finally {
      spawnSync("chattr", ["-i", stuck]);
    }
    sealfsOk(["gc", "--store", store]);
    expect(lstatSync(stuck, { throwIfNoEntry: false })).toBeUndefined();
    await expectStore(store, "app");
  });

  test("whose directory is immutable is refused with the reason", () => {
    const disk = hasMaker("ext4") ? disks.loop("ext4", 64) : disks.folder();
    const store = join(disk, "store");
    build(tree(2, 1000), store, "app");
    for (const folder of ["tmp", "images/refs"]) {
      if (spawnSync("chattr", ["+i", join(store, folder)]).status !== 0) return;
      try {
        const result = build(tree(2, 1000), store, "new");
        expect(result.status).toBe(1);
        expect(result.stderr).toMatch(/EPERM/);
      } finally {
        spawnSync("chattr", ["-i", join(store, folder)]);
      }
      expect(
        Store.open(store)
          .images.refs()
          .map(({ name }) => name),
      ).toEqual(["app"]);
    }
  });

  describe("of another user", () => {
    const nobody = 65534;
    const asNobody = (...args: string[]) =>
      spawnSync(process.execPath, [readableBin(), ...args], {
        cwd: "/",
        uid: nobody,
        gid: nobody,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], SEALFS_STATE: "none" },
      });

    test("can be read, is not written to, and is left as it is", async () => {
      const store = join(disks.folder(), "store");
      const source = tree(2, 1000);
      build(source, store, "app");
      expect(asNobody("images", "--store", store).stdout).toMatch(/app/);
      expect(asNobody("fsck", "--store", store).status).toBe(0);
      for (const args of [
        ["build", `dir:${source}`, "--store", store, "--name", "b"],
        ["rm", "app", "--store", store],
        ["gc", "--store", store],
      ]) {
        const result = asNobody(...args);
        expect(result.status).toBe(1);
        expect(result.stderr).toMatch(/EACCES|EPERM/);
      }
      await expectStore(store, "app");
    });

    test("works for its owner under a umask that takes everything", async () => {
      const folder = disks.folder();
      chownSync(folder, nobody, nobody);
      const source = tree(2, 400_000);
      const store = join(folder, "store");
      for (const args of [
        `build dir:${source} --store ${store} --name app`,
        `gc --store ${store}`,
      ]) {
        const command = `umask 777; exec "$0" ${readableBin()} ${args}`;
        const result = spawnSync("sh", ["-c", command, process.execPath], {
          cwd: "/",
          uid: nobody,
          gid: nobody,
          encoding: "utf8",
          env: { PATH: process.env["PATH"], SEALFS_STATE: "none" },
        });
        expect(result.stderr + result.status).toMatch(/0$/);
      }
      await expectStore(store, "app");
    });

    test("that both may write to works for both", async () => {
      const folder = disks.folder();
      chownSync(folder, nobody, nobody);
      const store = join(folder, "store");
      const source = tree(2, 1000);
      const made = asNobody("build", `dir:${source}`, "--store", store, "--name", "a");
      expect(made.stderr + made.status).toMatch(/0$/);
      const refused = build(tree(2, 1000), store, "b");
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(
        /belongs to the user 65534, and this is root[^]*--foreign-store/,
      );
      expect(build(tree(2, 1000), store, "b", "--foreign-store").status).toBe(0);
      expect(asNobody("rm", "b", "--store", store).status).toBe(0);
      expect(asNobody("gc", "--store", store).status).toBe(0);
      await expectStore(store, "a");
    });
  });
});

test.each([
  ["000", "755"],
  ["777", "700"],
  ["077", "700"],
  ["022", "755"],
])("under umask %s the directories of a store have the mode %s", async (umask, mode) => {
  const source = tree(2, 1_400_000); // with leaf hashes
  const store = join(disks.folder(), "store");
  const run = (command: string) =>
    spawnSync("sh", ["-c", `umask ${umask}; exec "$0" ${bin} ${command}`, process.execPath], {
      encoding: "utf8",
      env: { ...process.env, SEALFS_STATE: "none" },
    });
  const built = run(`build dir:${source} --store ${store} --name app`);
  expect(built.status === 0 ? "" : built.stderr).toBe("");
  expect(new Set(objectModes(store))).toEqual(new Set([0o444]));
  const leaves = readdirSync(join(store, "verity"))[0]!;
  for (const folder of ["", "objects", "objects/00", "images/refs", `verity/${leaves}`]) {
    const got = (statSync(join(store, folder)).mode & 0o777).toString(8);
    expect([folder, got]).toEqual([folder, mode]);
  }
  expect(statSync(join(store, "meta.json")).mode & 0o777).toBe(0o644);
  expect(readFileSync(join(store, "meta.json"), "utf8")).toContain("fsverity-sha256-12");
  await expectStore(store, "app");
  expect(run(`gc --store ${store}`).status).toBe(0);
});
