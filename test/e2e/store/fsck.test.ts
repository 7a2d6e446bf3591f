/** What fsck finds, and what it repairs (docs/hostile-inputs.md, "F. Stores"). */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { encodeSeekIndex } from "../../../src/seek/encode.ts";
import { SystemError } from "../../../src/errors.ts";
import { checkStoredObjects } from "../../../src/store/fsck/fsck-objects.ts";
import { type FsckOptions, checkStore } from "../../../src/store/fsck/fsck.ts";
import { imageLinkTarget } from "../../../src/store/layout.ts";
import { StoreLock } from "../../../src/store/lock.ts";
import { ObjectStore } from "../../../src/store/objects.ts";
import { seekIndexOf, seekIndexPath } from "../../../src/store/seek-indexes.ts";
import { type RepairSource, repairFrom } from "../../../src/store/fsck/repair-source.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { runMain } from "../../support/run.ts";
import { contentOf, damage, digestOf, objectsIn, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

let root: string;
let store: Store;
let id: VerityDigest;
const at = (...parts: string[]) => join(store.path, ...parts);

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
  id = publish(store, "app", ["a", "b"], { version: 1 });
});

const fsck = (options: FsckOptions = {}) => checkStore(store, { threads: 0, ...options });

/** Kinds and repairs of what was found, as `kind:repair` or `kind`. */
async function found(options: FsckOptions = {}) {
  const { problems, good } = await fsck(options);
  const kinds = problems.map(({ kind, repair }) =>
    repair === undefined ? kind : `${kind}:${repair}`,
  );
  return { kinds: kinds.sort(), good };
}

/** An index that places nothing, and its path. */
function putSeekIndex(): string {
  const index = encodeSeekIndex(new Map(), [], []);
  mkdirSync(at("seek", id));
  const path = at(seekIndexPath(id, seekIndexOf(index)));
  writeFileSync(path, index);
  return path;
}

test("a good store is good, and everything in it was looked at", async () => {
  store.writeLeaves(digestOf("a"), leavesOf(contentOf("a")).leaves);
  putSeekIndex();
  const bytes = 10_000 + store.readImage(id).length;
  for (const threads of [0, 1, 3]) {
    expect(await fsck({ threads })).toEqual({
      images: 1,
      objects: 3,
      bytes,
      bundles: 1,
      leafCaches: 1,
      seekIndexes: 1,
      layers: 0,
      problems: [],
      good: true,
    });
  }
  expect((await runMain("fsck", "--store", store.path)).status).toBe(0);
});

test("a seek index that is damaged, or has another's name, is put into quarantine", async () => {
  const path = putSeekIndex();
  writeFileSync(path, "not an index");
  writeFileSync(at("seek", id, "0".repeat(64)), encodeSeekIndex(new Map(), [], []));
  expect(await found()).toEqual({ kinds: ["seek", "seek"], good: false });
  expect(await found({ repair: true })).toEqual({
    kinds: ["seek:quarantined", "seek:quarantined"],
    good: true,
  });
  expect(readdirSync(at("seek", id))).toEqual([]);
});

test("what stops a thread is what would stop this one", async () => {
  const reach = { value: new ObjectStore(store.files, "x".repeat(300)) };
  const unreachable = Object.create(store, { objects: reach }) as Store;
  const [here, there] = await Promise.all(
    [0, 2].map((threads) => checkStoredObjects(unreachable, { threads }).catch((error) => error)),
  );
  expect(here).toBeInstanceOf(SystemError);
  expect(there).toBeInstanceOf(SystemError);
  expect(there).toMatchObject({ code: "IO", message: here.message });
});

test("more objects than threads take at once are all looked at", async () => {
  const transaction = Transaction.begin(store, { durability: "none" });
  for (let i = 0; i < 900; i++) transaction.put(digestOf(`${i}`), contentOf(`${i}`));
  transaction.publish();
  transaction.close();
  damage(store, digestOf("17"));
  damage(store, digestOf("899"));
  for (const threads of [0, 1, 2]) {
    const { objects, problems } = await fsck({ threads });
    expect(objects).toBe(903);
    expect(problems.map(({ digest }) => digest)).toEqual([digestOf("17"), digestOf("899")].sort());
  }
});

describe("an object", () => {
  const path = () => store.objects.path(digestOf("a"));
  const replace = (make: (path: string) => void) => {
    rmSync(path());
    make(path());
  };

  test.each<[string, () => void]>([
    ["with another content", () => damage(store, digestOf("a"))],
    ["that is cut", () => (chmodSync(path(), 0o644), truncateSync(path(), 100))],
    ["of length 0, as power loss leaves it", () => replace((p) => writeFileSync(p, ""))],
    ["that is a symlink", () => replace((p) => symlinkSync("/etc/passwd", p))],
    ["that is a directory", () => replace((p) => mkdirSync(p))],
    ["that is a fifo", () => replace((p) => execFileSync("mkfifo", [p]))],
  ])("%s is found, goes to quarantine, and is restored from another store", async (_, spoil) => {
    spoil();
    expect(await found()).toEqual({ kinds: ["object"], good: false });
    expect(await found({ threads: 2 })).toEqual({ kinds: ["object"], good: false });
    expect(readdirSync(at("quarantine"))).toEqual([]);
    const repaired = await found({ repair: true });
    expect(repaired).toEqual({ kinds: ["object:quarantined"], good: false });
    expect(readdirSync(at("quarantine"))).toHaveLength(1);
    expect(await found()).toEqual({ kinds: ["missing"], good: false });
    const other = Store.create(join(root, "other"));
    publish(other, undefined, ["a"]);
    const restored = await found({ repair: true, from: [repairFrom(other)] });
    expect(restored).toEqual({ kinds: ["missing:restored"], good: true });
    expect(await found()).toEqual({ kinds: [], good: true });
  });

  test("that is wrong is replaced in one run; a store that has it wrong too does no harm", async () => {
    const [liar, other] = ["liar", "other"].map((name) => Store.create(join(root, name)));
    publish(liar!, undefined, ["a"]);
    damage(liar!, digestOf("a"));
    publish(other!, undefined, ["a"]);
    damage(store, digestOf("a"));
    expect(await found({ repair: true, from: [repairFrom(liar!)] })).toMatchObject({ good: false });
    publish(store, "again", ["b"]);
    const result = await found({ repair: true, from: [repairFrom(liar!), repairFrom(other!)] });
    expect(result).toEqual({ kinds: ["missing:restored"], good: true });
    damage(store, digestOf("a"));
    const both = await found({ repair: true, from: [repairFrom(liar!), repairFrom(other!)] });
    expect(both).toEqual({ kinds: ["object:restored"], good: true });
    expect(await found()).toEqual({ kinds: [], good: true });
  });

  test("is taken from any source that gives it, whatever the others do", async () => {
    const whole = contentOf("b");
    damage(store, digestOf("b"));
    let asked = 0;
    const says = (
      give: (size: number | undefined) => AsyncGenerator<Uint8Array>,
    ): RepairSource => ({
      give: (digest, size) => {
        asked += 1;
        expect([digest, size]).toEqual([digestOf("b"), whole.length]);
        return give(size);
      },
    });
    const sources = [
      { give: () => undefined },
      says(async function* () {
        yield whole.subarray(0, 100);
        throw new Error("the line broke");
      }),
      says(async function* () {
        for (;;) yield Buffer.alloc(4096); // for ever
      }),
      says(async function* () {
        yield whole.subarray(0, 4999);
      }),
      says(async function* () {
        yield whole.subarray(0, 4096);
        yield whole.subarray(4096);
      }),
      says(() => {
        throw new Error("not needed any more");
      }),
    ];
    const result = await found({ repair: true, from: sources });
    expect(result.good).toBe(true);
    expect(asked).toBe(4);
    store.objects.verify(digestOf("b"));
  });

  test("that is wrong and that no image needs is mended by its removal", async () => {
    rmSync(at("images/refs/app"));
    rmSync(at("images", id));
    damage(store, digestOf("a"));
    expect(await found({ repair: true })).toEqual({ kinds: ["object:quarantined"], good: true });
  });

  test("that others can write to is made read-only", async () => {
    chmodSync(path(), 0o666);
    expect(await found()).toEqual({ kinds: ["mode"], good: false });
    expect(await found({ repair: true })).toEqual({ kinds: ["mode:fixed"], good: true });
    expect(statSync(path()).mode & 0o777).toBe(0o444);
  });

  test.each(["README", "A".repeat(62), "a".repeat(61), ".hidden"])(
    "named %s is reported and put away",
    async (name) => {
      writeFileSync(at("objects/00", name), "x");
      expect(await found({ repair: true })).toEqual({ kinds: ["name:quarantined"], good: true });
      expect(await found()).toEqual({ kinds: [], good: true });
    },
  );
});

describe("an image", () => {
  test("whose bytes are wrong is restored with what it refers to", async () => {
    const other = Store.create(join(root, "other"));
    publish(other, "app", ["a", "b"]);
    damage(store, id);
    rmSync(store.objects.path(digestOf("a")));
    damage(store, digestOf("b"));
    expect((await found({ repair: true, from: [repairFrom(other)] })).good).toBe(true);
    expect(await found()).toEqual({ kinds: [], good: true });
    expect(objectsIn(store)).toHaveLength(3);
  });

  test("that can be read again but not completed leaves the store bad", async () => {
    const other = Store.create(join(root, "other"));
    publish(other, "app", ["a", "b"]);
    rmSync(other.objects.path(digestOf("a")));
    damage(store, id);
    rmSync(store.objects.path(digestOf("a")));
    expect((await found({ repair: true, from: [repairFrom(other)] })).good).toBe(false);
  });

  test("that a name leads to and that is not there at all is told", async () => {
    rmSync(store.objects.path(id));
    rmSync(at("images", id));
    expect(await found()).toEqual({ kinds: ["link", "missing"], good: false });
    const other = Store.create(join(root, "other"));
    publish(other, "app", ["a", "b"]);
    const repaired = await found({ repair: true, from: [repairFrom(other)] });
    expect(repaired).toEqual({ kinds: ["link:fixed", "missing:restored"], good: true });
    expect(await found()).toEqual({ kinds: [], good: true });
  });

  test.each<[string, (path: string) => void]>([
    ["missing", () => undefined],
    ["a file", (path) => writeFileSync(path, "")],
    ["leading elsewhere", (path) => symlinkSync(imageLinkTarget(digestOf("a")), path)],
    ["a folder", (path) => mkdirSync(path)],
  ])("whose link is %s gets it back", async (_, make) => {
    rmSync(at("images", id));
    make(at("images", id));
    expect(await found({ repair: true })).toEqual({ kinds: ["link:fixed"], good: true });
    expect(await found()).toEqual({ kinds: [], good: true });
  });

  test("that breaks the format is told, and stays", async () => {
    const { verityDigestOf } = await import("../../../src/verity/hasher.ts");
    const bytes = contentOf("no image");
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.put(verityDigestOf(bytes), bytes);
    transaction.publish({ image: verityDigestOf(bytes) });
    transaction.close();
    expect(await found({ repair: true })).toEqual({ kinds: ["image"], good: false });
  });
});

describe("beside them", () => {
  test.each(["..", "../../etc/passwd", "nowhere"])("a name that leads to %s", async (target) => {
    symlinkSync(target, at("images/refs/odd"));
    expect(await found()).toEqual({ kinds: ["ref"], good: false });
    expect(await found({ repair: true })).toEqual({ kinds: ["ref:quarantined"], good: true });
  });

  test("bundles that are none, or about another image", async () => {
    const other = publish(store, "other", ["c"], { version: 2 });
    const [bundle] = store.readBundles(other);
    writeFileSync(at("bundles", id, "x.json"), "{}");
    writeFileSync(at("bundles", id, "y.json"), bundle!.bytes);
    expect(await found({ repair: true })).toEqual({
      kinds: ["bundle:quarantined", "bundle:quarantined"],
      good: true,
    });
    expect(store.readBundles(id)).toHaveLength(1);
  });

  test("leaf caches that do not fit, or whose object is gone", async () => {
    store.writeLeaves(digestOf("a"), leavesOf(contentOf("b")).leaves);
    store.writeLeaves(digestOf("gone"), leavesOf(contentOf("a")).leaves);
    const result = await found({ repair: true });
    expect(result).toEqual({ kinds: ["leaves:removed", "leaves:removed"], good: true });
    expect(await found()).toEqual({ kinds: [], good: true });
  });

  test("directories that are missing, or something else", async () => {
    for (const name of ["quarantine", "tmp", "objects/7f"])
      rmSync(at(name), { recursive: true, force: true });
    rmSync(at("leases"), { recursive: true });
    writeFileSync(at("leases"), "");
    const result = await found({ repair: true });
    expect(result.kinds.filter((kind) => kind === "directory:fixed")).toHaveLength(4);
    expect((await found()).kinds.filter((kind) => kind === "directory")).toEqual([]);
  });
});

describe("the command", () => {
  test("exits 4 when something is wrong, 0 when it was mended, and gives JSON", async () => {
    damage(store, digestOf("a"));
    const other = Store.create(join(root, "other"));
    publish(other, undefined, ["a"]);
    const first = await runMain("fsck", "--store", store.path, "--json");
    expect(first.status).toBe(4);
    expect(JSON.parse(first.out)).toMatchObject({
      good: false,
      problems: [
        { kind: "object", digest: digestOf("a"), path: store.objects.path(digestOf("a")) },
      ],
    });
    const text = await runMain("fsck", "--store", store.path);
    expect(text.out).toContain(`object ${store.objects.path(digestOf("a"))}: 5000 bytes with`);
    const mended = await runMain("fsck", "--store", store.path, "--repair", "--from", other.path);
    expect(mended.out).toContain("[restored]");
    expect(mended.err).toContain("everything is repaired");
    expect(mended.status).toBe(0);
    expect((await runMain("fsck", "--store", store.path, "--from", other.path)).status).toBe(2);
  });

  test("repairs nothing while somebody writes, and checks all the same", async () => {
    const lock = StoreLock.shared(store);
    damage(store, digestOf("a"));
    expect((await found()).kinds).toEqual(["object"]);
    await expect(fsck({ repair: true, timeoutMs: 0 })).rejects.toMatchObject({ code: "BUSY" });
    expect(existsSync(store.objects.path(digestOf("a")))).toBe(true);
    lock.release();
  });
});
