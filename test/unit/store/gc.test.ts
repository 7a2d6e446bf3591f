/** What gc removes, what it keeps, and when it refuses (docs/store.md, "Garbage collection"). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { collectGarbage } from "../../../src/store/gc/gc.ts";
import { takeLease } from "../../../src/store/leases.ts";
import { StoreLock } from "../../../src/store/lock.ts";
import { removeNames } from "../../../src/store/remove-name.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { runMain } from "../../support/run.ts";
import { contentOf, damage, digestOf, objectsIn, publish } from "../../support/store.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";

const holder = fileURLToPath(new URL("../../support/lease-holder.mjs", import.meta.url));

let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

const collect = (options: Parameters<typeof collectGarbage>[1] = {}) =>
  collectGarbage(store, { timeoutMs: 0, ...options });

const has = (...digests: VerityDigest[]) =>
  digests.map((digest) => existsSync(store.objects.path(digest)));
const quarantined = () => readdirSync(join(store.path, "quarantine"));

async function hold(...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, store.path, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  expect(said.toString()).toBe("leased\n");
  return child;
}

describe("gc removes", () => {
  test("images without a name, and the objects, bundles and caches that were theirs alone", () => {
    const kept = publish(store, "kept", ["a", "shared"], { version: 1 });
    const gone = publish(store, "gone", ["b", "shared"], { version: 1 });
    store.writeLeaves(digestOf("a"), Buffer.alloc(64));
    store.writeLeaves(digestOf("b"), Buffer.alloc(64));
    writeFileSync(join(store.path, "seek", gone), "index");
    removeNames(store, ["gone"]);
    const result = collect();
    expect(result).toMatchObject({
      kept: { images: 1, objects: 3 },
      removed: { images: [gone], bundles: 1, seekIndexes: 1, objects: 2, leafCaches: 1 },
      dryRun: false,
    });
    expect(result.removed.objectBytes).toBeGreaterThan(5000);
    expect(objectsIn(store).sort()).toEqual([kept, digestOf("a"), digestOf("shared")].sort());
    expect(store.readBundles(kept)).toHaveLength(1);
    expect(existsSync(join(store.path, "bundles", gone))).toBe(false);
    expect(readdirSync(join(store.path, "seek"))).toEqual([]);
    expect(store.readLeaves(digestOf("a"))).toHaveLength(64);
    expect(store.readLeaves(digestOf("b"))).toBeUndefined();
    expect(quarantined()).toEqual([]);
    expect(collect().removed).toMatchObject({ images: [], objects: 0 });
  });

  test("objects that no image ever had", () => {
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.put(digestOf("x"), contentOf("x"));
    transaction.publish();
    transaction.close();
    expect(collect().removed.objects).toBe(1);
    expect(has(digestOf("x"))).toEqual([false]);
  });

  test("nothing with --dry-run, and tells the same", async () => {
    publish(store, "gone", ["b"]);
    removeNames(store, ["gone"]);
    const dry = await runMain("gc", "--store", store.path, "--dry-run", "--json");
    expect(objectsIn(store)).toHaveLength(2);
    const wet = await runMain("gc", "--store", store.path, "--json");
    expect(JSON.parse(wet.out)).toEqual({ ...JSON.parse(dry.out), dryRun: false });
    expect(objectsIn(store)).toEqual([]);
    expect((await runMain("gc", "--store", store.path)).out).toMatch(/^freed 0 B: 0 images/);
  });

  test("what an earlier gc left in quarantine; wrong objects there only when asked to", () => {
    writeFileSync(join(store.path, "quarantine", `gc-${digestOf("a")}`), "left");
    writeFileSync(join(store.path, "quarantine/wrong"), "evidence");
    expect(collect().removed.quarantine).toEqual({ files: 1, bytes: 4 });
    expect(quarantined()).toEqual(["wrong"]);
    collect({ quarantine: true });
    expect(quarantined()).toEqual([]);
  });

  test("names before what they lead to, with a sync in between", () => {
    const gone = publish(store, "gone", ["b"], { version: 1 });
    removeNames(store, ["gone"]);
    let seen: unknown;
    collect({
      sync: () => {
        seen = [
          store.images.has(gone),
          store.readBundles(gone).length,
          ...has(gone, digestOf("b")),
        ];
      },
    });
    expect(seen).toEqual([false, 0, true, true]);
    expect(has(gone, digestOf("b"))).toEqual([false, false]);
  });
});

describe("gc keeps", () => {
  test("with --keep the images signed last under a name that is still there", async () => {
    const ids = [1, 2, 3, 4].map((version) => publish(store, "app", [`v${version}`], { version }));
    publish(store, "other", ["o"], { version: 9 });
    removeNames(store, ["other"]);
    expect(collect({ keep: 3 }).removed.images).toHaveLength(2);
    expect(has(...ids)).toEqual([false, true, true, true]);
    expect((await runMain("gc", "--store", store.path, "--keep", "2")).status).toBe(0);
    expect(has(...ids)).toEqual([false, false, true, true]);
    collect();
    expect(has(...ids)).toEqual([false, false, false, true]);
    expect((await runMain("gc", "--store", store.path, "--keep", "0")).status).toBe(2);
  });

  test("what a living process leases, until it is dead", async () => {
    const id = publish(store, "app", ["a"]);
    const child = await hold(id);
    removeNames(store, ["app"]);
    expect(collect()).toMatchObject({ kept: { images: 1, objects: 2 }, removed: { objects: 0 } });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(readdirSync(join(store.path, "leases"))).toHaveLength(1);
    expect(collect().removed).toMatchObject({ objects: 2, leases: 1 });
    expect(readdirSync(join(store.path, "leases"))).toEqual([]);
  });

  test("single objects of an image that lies elsewhere, while it is leased", async () => {
    publish(store, "app", ["a", "b"]);
    removeNames(store, ["app"]);
    const child = await hold("f".repeat(64), digestOf("a"));
    collect();
    expect(has(digestOf("a"), digestOf("b"))).toEqual([true, false]);
    child.stdin!.end();
    await once(child, "exit");
    expect(readdirSync(join(store.path, "leases"))).toEqual([]);
    collect();
    expect(objectsIn(store)).toEqual([]);
  });

  test("nothing for a lease that only looks alive: the right boot id, a process id in use", async () => {
    const child = await hold("f".repeat(64));
    const [name] = readdirSync(join(store.path, "leases"));
    child.kill("SIGKILL");
    await once(child, "exit");
    const id = publish(store, undefined, ["a"]);
    writeFileSync(join(store.path, "leases", name!), `sealfs lease 1\nimage ${id}\n`);
    writeFileSync(
      join(store.path, "leases", `${process.pid}-${"0".repeat(24)}`),
      `sealfs lease 1\nimage ${id}\n`,
    );
    expect(collect().removed).toMatchObject({ images: [id], leases: 2 });
  });

  test("files that it does not know", () => {
    const odd = [join(store.path, "objects/ab/README"), join(store.path, "bundles/notes")];
    for (const path of odd) writeFileSync(path, "x");
    collect();
    expect(odd.map((path) => existsSync(path))).toEqual([true, true]);
  });
});

describe("gc removes nothing and says why", () => {
  const refuses = (message: RegExp, code: string) => {
    const before = objectsIn(store);
    expect(() => collect()).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
    expect(objectsIn(store)).toEqual(before);
  };

  beforeEach(() => {
    publish(store, "gone", ["b"]);
    removeNames(store, ["gone"]);
  });

  test("when the image of a name is damaged", async () => {
    damage(store, publish(store, "app", ["a"]));
    refuses(/image .*\(app\) cannot be read/, "IO");
    const { status, err } = await runMain("gc", "--store", store.path);
    expect(status).toBe(1);
    expect(err).toContain("sealfs rm");
  });

  test("when the image of a name is missing", () => {
    rmSync(store.objects.path(publish(store, "app", ["a"])));
    refuses(/cannot be read/, "IO");
  });

  test.each([
    ["leads nowhere known", (path: string) => symlinkSync("/etc/passwd", path)],
    ["is a file", (path: string) => writeFileSync(path, "")],
    ["is a folder", (path: string) => mkdirSync(path)],
  ])("when a ref %s", (_, make) => {
    make(join(store.path, "images/refs/odd"));
    refuses(/odd is not an image name/, "MALFORMED");
  });

  test("when a ref has a name that sealfs cannot have made", () => {
    symlinkSync(`../${"a".repeat(64)}`, join(store.path, "images/refs/a b"));
    refuses(/a b is not an image name/, "MALFORMED");
  });

  test("when a living process has a lease that cannot be understood", async () => {
    const child = await hold("f".repeat(64));
    const [name] = readdirSync(join(store.path, "leases"));
    writeFileSync(join(store.path, "leases", name!), "sealfs lease 2\n");
    refuses(/expected sealfs lease 1/, "MALFORMED");
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  test("when a lease is too large; a lease is read up to its limit", async () => {
    const child = await hold("f".repeat(64));
    const [name] = readdirSync(join(store.path, "leases"));
    const { size } = statSync(join(store.path, "leases", name!));
    lower("leaseBytes", size - 1);
    refuses(new RegExp(`expected at most ${size - 1} bytes, got ${size}`), "LIMIT");
    lower("leaseBytes", size);
    collect();
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  test("when a lease is a symlink", () => {
    symlinkSync("/etc/passwd", join(store.path, "leases", `odd-${"0".repeat(24)}`));
    refuses(/symbolic link/, "WRONG_TYPE");
  });

  test("when the store is also a repository of composefs-rs", () => {
    mkdirSync(join(store.path, "streams"));
    writeFileSync(join(store.path, "streams/x"), "");
    refuses(/streams of composefs-rs/, "UNSUPPORTED");
  });

  test("while somebody writes; and nobody writes while it works", () => {
    const transaction = Transaction.begin(store, { durability: "none" });
    refuses(/other processes are working with it/, "BUSY");
    transaction.close();
    const lock = StoreLock.exclusive(store, 0);
    expect(() => takeLease(store, digestOf("a"), () => [], 0)).toThrow(
      expect.objectContaining({ code: "BUSY" }),
    );
    refuses(/other processes/, "BUSY");
    lock.release();
    expect(collect().removed.objects).toBe(2);
  });
});
