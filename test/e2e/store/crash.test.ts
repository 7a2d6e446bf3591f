/**
 * Writers that die, meet a full disk or a read-only store, or work at the same time; and the order
 * of their system calls: write, sync, rename, sync, name (docs/store.md, "Transactions").
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SystemError } from "../../../src/errors.ts";
import { fanOut } from "../../../src/store/layout.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { resolveHeldPaths } from "../../support/held-paths.mjs";
import { scratchFolder } from "../../support/scratch.ts";

const writer = fileURLToPath(new URL("../../support/store-writer.mjs", import.meta.url));
const isRoot = process.getuid?.() === 0;
const canTrace =
  spawnSync("strace", ["-f", "-e", "trace=none", "true"], { stdio: "ignore" }).status === 0;

let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

const write = (...args: string[]) =>
  spawnSync(process.execPath, [writer, store.path, ...args], { encoding: "utf8" });

const staging = () => readdirSync(join(store.path, "tmp"));

/** Every object of the store, each compared with its name. */
function checkObjects(): number {
  let count = 0;
  for (const fan of fanOut) {
    for (const rest of readdirSync(join(store.path, "objects", fan))) {
      store.objects.verify((fan + rest) as VerityDigest);
      count += 1;
    }
  }
  return count;
}

/** What a name leads to must be there; whatever else is there must be right. */
function checkStore(): void {
  checkObjects();
  for (const { id, names } of store.images.list()) {
    store.objects.verify(id);
    // The writer's objects of this name are all there, or the name would not be.
    for (const name of names) {
      for (let i = 0; i < 3; i++) {
        store.objects.verify(verityDigestOf(Buffer.from(`object ${i} of ${name} `.repeat(50))));
      }
    }
  }
}

async function stagedWriter(name: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [writer, store.path, name, "3", name, "--pause"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

describe("a writer killed before it published", () => {
  test("leaves no object and no name, and the next writer tidies up and succeeds", async () => {
    const child = await stagedWriter("app");
    expect(staging()).toHaveLength(1);
    child.kill("SIGKILL");
    await once(child, "exit");

    expect(checkObjects()).toBe(0);
    expect(store.images.list()).toEqual([]);
    expect(staging()).toHaveLength(1);
    expect(write("app", "3", "app").status).toBe(0);
    expect(staging()).toEqual([]);
    expect(store.images.list()).toMatchObject([{ names: ["app"] }]);
    checkStore();
  });

  test("does not have its staging directory taken away while it lives", async () => {
    const child = await stagedWriter("slow");
    expect(write("fast", "3", "fast").status).toBe(0);
    expect(staging()).toHaveLength(1);
    child.stdin!.write("\n");
    await once(child, "exit");
    expect(child.exitCode).toBe(0);
    expect(store.images.refs().map(({ name }) => name)).toEqual(["fast", "slow"]);
    checkStore();
  });
});

describe("a staging directory that nobody owns", () => {
  test("is removed when its lock file is missing and it is empty", () => {
    mkdirSync(join(store.path, "tmp", "a".repeat(24)));
    Transaction.begin(store).close();
    expect(staging()).toEqual([]);
  });

  test("is kept when its lock file is missing but it holds something", () => {
    mkdirSync(join(store.path, "tmp/foreign"));
    writeFileSync(join(store.path, "tmp/foreign/file"), "");
    Transaction.begin(store).close();
    expect(staging()).toEqual(["foreign"]);
  });

  test("is removed when it was made without locks, before a restart, and is a day old", () => {
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    const names = ["unlocked-other-1", "unlocked-other-2", `unlocked-${bootId}-3`];
    for (const name of names) mkdirSync(join(store.path, "tmp", name));
    for (const name of [names[0]!, names[2]!]) {
      execFileSync("touch", ["-d", "2 days ago", join(store.path, "tmp", name)]);
    }
    Transaction.begin(store).close();
    expect(new Set(staging())).toEqual(new Set([names[1], names[2]]));
  });
});

describe.skipIf(!canTrace)("under strace (skipped where tracing is not possible)", () => {
  const trace = (options: string[], name: string) =>
    spawnSync(
      "strace",
      [
        "-f",
        "-qq",
        "-y",
        "-o",
        join(root, "trace"),
        ...options,
        process.execPath,
        writer,
        store.path,
        name,
        "3",
        name,
      ],
      { encoding: "utf8", timeout: 170_000 },
    );

  test("writes come before the sync, renames after it, then a sync, then the name", () => {
    const calls =
      "openat,openat2,write,pwrite64,rename,renameat,renameat2,syncfs,fsync,symlink,symlinkat";
    expect(trace(["-e", `trace=${calls}`], "app").status).toBe(0);
    const steps = resolveHeldPaths(readFileSync(join(root, "trace"), "utf8").split("\n"))
      .map((line) => stepOf(line, store.path))
      .filter((step, at, all) => step !== undefined && step !== all[at - 1]);
    // Three objects and the image, each created and written.
    const order = steps.filter((step, at) => at === 0 || step !== steps[at - 1]);
    expect(order.join(" ")).toMatch(
      /^(stage write )+link sync publish sync name fsync name fsync$/,
    );
  });

  describe("with durability object", () => {
    const traced = (name: string) => {
      const calls = "openat,openat2,write,pwrite64,rename,renameat,renameat2,fsync";
      const file = join(root, "trace");
      const options = ["-f", "-qq", "-y", "-s", "24", "-e", `trace=${calls}`, "-o", file];
      const command = [
        process.execPath,
        writer,
        store.path,
        name,
        "3",
        "app",
        "--durability=object",
      ];
      const run = spawnSync("strace", [...options, ...command], {
        encoding: "utf8",
        timeout: 170_000,
      });
      expect([run.status, run.stderr]).toEqual([0, ""]);
      return resolveHeldPaths(readFileSync(file, "utf8").split("\n"));
    };

    test("each file is synced before its name, each directory before the image's", () => {
      const lines = traced("app");
      const order = new CallOrder(store.path, lines);
      expect(order.problems).toEqual([]);
      expect(order.counts).toEqual({ objects: 4, names: 2, acknowledged: 1 });
      // What looks after it does find something.
      const unsynced = lines.filter((line) => !line.includes(" fsync("));
      expect(new CallOrder(store.path, unsynced).problems.length).toBeGreaterThan(6);
    });

    test("objects that were there are synced too: who put them there may not have done it", () => {
      write("first", "3", "app");
      const lines = traced("second");
      const synced = lines.filter((line) =>
        / fsync\(\d+<[^>]*\/objects\/..\/[0-9a-f]{62}>/.test(line),
      );
      expect(synced).toHaveLength(4);
      const order = new CallOrder(store.path, lines);
      expect([order.problems, order.counts.objects]).toEqual([[], 0]);
    });
  });

  test("killed at any rename, leaves a store in which all that is named is right", () => {
    for (let when = 1; when <= 6; when++) {
      const run = trace(
        ["-e", `inject=rename,renameat,renameat2:signal=KILL:when=${when}`],
        `app${when}`,
      );
      expect(run.status).not.toBe(0);
      checkStore();
    }
    expect(trace(["-e", "inject=rename:signal=KILL:when=7"], "app7").status).toBe(0);
    checkStore();
    expect(staging()).toEqual([]);
  });

  test.each([
    ["syncfs", "EIO", 1],
    ["syncfs", "EIO", 2],
    ["syncfs", "ENOSPC", 1],
    ["rename,renameat,renameat2", "ENOSPC", 1],
    ["rename,renameat,renameat2", "EIO", 3],
    ["rename,renameat,renameat2", "EROFS", 5],
    ["symlink,symlinkat", "EDQUOT", 1],
    ["mkdir,mkdirat", "ENOSPC", 1],
  ])("fails cleanly when %s says %s at call %i", (calls, errno, when) => {
    const run = trace(["-e", `inject=${calls}:error=${errno}:when=${when}+`], "app");
    expect(run.status).not.toBe(0);
    expect(run.stderr).toContain(errno);
    expect(staging()).toEqual([]);
    expect([...store.images.refs()]).toEqual([]);
    checkStore();
    expect(write("app", "3", "app").status).toBe(0);
    checkStore();
  });
});

/** Follows a trace: write < fsync(file) < rename < fsync(directory) < name < fsync < word to the caller. */
class CallOrder {
  readonly problems: string[] = [];
  readonly counts = { objects: 0, names: 0, acknowledged: 0 };
  readonly #root: string;
  /** Files that were written to since their last fsync. */
  readonly #dirty = new Set<string>();
  /** Directories with names that are not on the disk yet. */
  readonly #pending = new Set<string>();

  constructor(root: string, lines: readonly string[]) {
    this.#root = root;
    for (const line of lines) {
      const [, call, rest] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
      if (call !== undefined) this.#take(call, rest!);
    }
  }

  #take(call: string, rest: string): void {
    const open = /^\d+<([^>]*)>/.exec(rest)?.[1];
    if (call.startsWith("rename")) this.#rename(rest);
    else if (call !== "fsync") this.#write(open, rest);
    else for (const each of [this.#dirty, this.#pending]) each.delete(open!);
  }

  #write(path: string | undefined, rest: string): void {
    if (path?.startsWith(`${this.#root}/tmp/`)) this.#dirty.add(path);
    if (!/^1<.*"[0-9a-f]{16}/.test(rest)) return;
    this.counts.acknowledged += 1;
    for (const directory of this.#pending) this.problems.push(`told before fsync of ${directory}`);
  }

  #rename(rest: string): void {
    const [from, to] = [...rest.matchAll(/"([^"]*)"\.*/g)].map(([, path]) => path!) as [
      string,
      string,
    ];
    const isObject = to.startsWith(`${this.#root}/objects/`);
    if (isObject) this.counts.objects += 1;
    else this.counts.names += 1;
    if (this.#dirty.has(from)) this.problems.push(`${from} renamed before its fsync`);
    if (!isObject) {
      for (const directory of this.#pending)
        this.problems.push(`${to} before fsync of ${directory}`);
    }
    this.#pending.add(to.slice(0, to.lastIndexOf("/")));
  }
}

/** What one traced call means for the order. */
function stepOf(line: string, path: string): string | undefined {
  const call = /(?:^|\s)(\w+)\((.*)$/.exec(line);
  if (call === null) return undefined;
  const [, name, rest] = call as unknown as [string, string, string];
  const inTmp = rest.includes(`${path}/tmp/`);
  if (name === "openat") {
    return inTmp && rest.includes("O_EXCL") && !rest.includes('/lock"') ? "stage" : undefined;
  }
  if (name.startsWith("write") || name === "pwrite64")
    return /"(object|image) /.test(rest) ? "write" : undefined;
  if (name.startsWith("symlink")) return "link";
  if (name === "syncfs") return "sync";
  if (name === "fsync") return "fsync";
  if (!name.startsWith("rename")) return undefined;
  return rest.includes(`${path}/objects/`) ? "publish" : "name";
}

describe.skipIf(!isRoot)("on file systems of their own (skipped: needs root)", () => {
  const mounts: string[] = [];
  afterEach(() => {
    for (const mount of mounts.splice(0)) execFileSync("umount", ["-l", mount]);
  });
  const mountTmpfs = (options: string): string => {
    const at = join(root, `mount-${mounts.length}`);
    mkdirSync(at);
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", at]);
    mounts.push(at);
    return at;
  };

  const fill = (small: Store, bytes: number, count: number) => {
    const transaction = Transaction.begin(small);
    try {
      for (let i = 0; i < count; i++) {
        const content = Buffer.alloc(bytes, i + 1);
        transaction.put(verityDigestOf(content), content);
      }
      transaction.publish();
    } finally {
      transaction.close();
    }
  };

  test("a full disk is NO_SPACE and leaves nothing behind", () => {
    const small = Store.create(join(mountTmpfs("size=4m"), "store"));
    expect(() => fill(small, 256 * 1024, 64)).toThrow(
      expect.objectContaining({ name: "SystemError", code: "NO_SPACE" }),
    );
    expect(readdirSync(join(small.path, "tmp"))).toEqual([]);
    expect(fanOut.flatMap((fan) => readdirSync(join(small.path, "objects", fan)))).toEqual([]);
    fill(small, 64 * 1024, 4); // there is room again
  });

  test("having no inodes left is NO_SPACE and leaves nothing behind", () => {
    const small = Store.create(join(mountTmpfs("nr_inodes=320"), "store"));
    expect(() => fill(small, 100, 100)).toThrow(expect.objectContaining({ code: "NO_SPACE" }));
    expect(readdirSync(join(small.path, "tmp"))).toEqual([]);
  });

  test("a store that does not fit its disk is NO_SPACE", () => {
    const at = mountTmpfs("nr_inodes=100");
    expect(() => Store.create(join(at, "store"))).toThrow(
      expect.objectContaining({ code: "NO_SPACE" }),
    );
  });

  test("a read-only store reads, and says that it is read-only when written to", () => {
    fill(store, 100, 1);
    const at = join(root, "bind");
    mkdirSync(at);
    execFileSync("mount", ["--bind", store.path, at]);
    mounts.push(at);
    execFileSync("mount", ["-o", "remount,bind,ro", at]);
    const readOnly = Store.open(at);
    readOnly.objects.verify(verityDigestOf(Buffer.alloc(100, 1)));
    expect(() => Transaction.begin(readOnly)).toThrow(
      expect.objectContaining({ code: "READ_ONLY" }),
    );
    expect(() => Store.create(join(at, "new"))).toThrow(SystemError);
    const digest = verityDigestOf(Buffer.alloc(100, 1));
    expect(readOnly.writeLeaves(digest, Buffer.alloc(32))).toBe(false);
  });
});

test("writers of the same and of different objects at once all succeed", async () => {
  const seeds = ["same", "same", "same", "one", "two", "same"];
  const exits = seeds.map(async (seed, at) => {
    const args = [writer, store.path, `${seed}-${at}`, "40", seed];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    await once(child, "exit");
    return child.exitCode;
  });
  expect(await Promise.all(exits)).toEqual(seeds.map(() => 0));
  expect(checkObjects()).toBe(3 * 41);
  expect(store.images.refs().length).toBe(seeds.length);
  expect(staging()).toEqual([]);
  expect(existsSync(join(store.path, "quarantine"))).toBe(true);
  expect(readdirSync(join(store.path, "quarantine"))).toEqual([]);
});
