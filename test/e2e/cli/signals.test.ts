/** Signals end a command in order: its exit status, one line about it, and nothing half-done. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type Server, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { collectGarbage, collectGarbageUntil } from "../../../src/store/gc/gc.ts";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { StoreLock } from "../../../src/store/lock.ts";
import { Store } from "../../../src/store/store.ts";
import { bin, runMainOk } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { alice } from "../../support/trust.ts";
import { until } from "../../support/until.ts";

const name = "registry.example/app:1";
const statuses = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
let folder: string;
const at = (file: string) => join(folder, file);

beforeAll(async () => {
  folder = scratchFolder();
  writeFileSync(at("alice.key"), alice.toPem(), { mode: 0o600 });
  writeFileSync(at("alice.pub"), alice.publicKey.toPem());
  mkdirSync(at("tree"));
  for (let i = 0; i < 20; i++) writeFileSync(at(`tree/${i}`), `${i} `.repeat(100_000));
  const built = ["build", `dir:${at("tree")}`, "--store", at("store"), "--name", name];
  await runMainOk(...built, "--key", at("alice.key"), "--durability", "none");
  // The image alone: all its other objects are to be fetched.
  cpSync(at("store"), at("poor"), { recursive: true, verbatimSymlinks: true });
  const poor = Store.open(at("poor"));
  const id = poor.images.lookup(name)!;
  for (const fan of readdirSync(at("poor/objects"))) {
    if (!id.startsWith(fan)) rmSync(at(`poor/objects/${fan}`), { recursive: true });
  }
});

let silent: Server;
let silentPort: number;
beforeEach(async () => {
  mkdirSync(at("tmp"));
  // It takes connections, and never says a word.
  silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  silentPort = (silent.address() as { port: number }).port;
});
afterEach(() => {
  silent.close();
  for (const name_ of ["tmp", "new"]) rmSync(at(name_), { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  /** Its exit status, or the signal that killed it, and what it said. */
  end(): Promise<{ status: number | string; out: string; err: string }>;
}

function run(words: readonly string[], stdout: "pipe" | number = "pipe"): Run {
  const child = spawn(process.execPath, [bin, ...words], {
    stdio: ["pipe", stdout, "pipe"],
    env: { ...process.env, TMPDIR: at("tmp") },
  });
  child.stdin!.on("error", () => undefined);
  let err = "";
  child.stderr!.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended = once(child, "exit");
  return {
    child,
    async end() {
      let out = "";
      child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
      const closed = once(child, "close");
      const [status, killedBy] = (await ended) as [number | null, string | null];
      await closed;
      return { status: status ?? killedBy!, out, err };
    },
  };
}

/** Whether a command hears signals, by SIGHUP: Node itself catches others (proc_pid_status(5)). */
function hearsSignals({ pid, exitCode }: ChildProcess): boolean {
  if (exitCode !== null) return true;
  const caught = /^SigCgt:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
  return (BigInt(`0x${caught}`) & 1n) !== 0n;
}

/** What was being made: none of it is left. */
function leftovers(store: string): string[] {
  const staging = existsSync(join(store, "tmp")) ? readdirSync(join(store, "tmp")) : [];
  return [...staging, ...readdirSync(at("tmp"))];
}

const commands: Record<string, { words: () => string[]; store: string }> = {
  "build, which waits for standard input": {
    words: () => ["build", "-", "--store", at("new")],
    store: "new",
  },
  "import, which waits for standard input": {
    words: () => ["import", "--store", at("new"), "--unverified"],
    store: "new",
  },
  "export, whose reader does not read": {
    words: () => ["export", name, "--store", at("store")],
    store: "store",
  },
  "fetch, whose mirror does not answer": {
    words: () => [
      "fetch",
      name,
      "--store",
      at("poor"),
      "--state",
      "none",
      "--key",
      at("alice.pub"),
      "--mirror",
      `http://127.0.0.1:${silentPort}`,
    ],
    store: "poor",
  },
  "pull, whose registry does not answer": {
    words: () => [
      "pull",
      `docker://127.0.0.1:${silentPort}/app:1`,
      "--store",
      at("new"),
      "--key",
      at("alice.pub"),
      "--state",
      "none",
      "--tls-verify",
      "false",
    ],
    store: "new",
  },
  "push, whose registry does not answer": {
    words: () => [
      "push",
      name,
      `docker://127.0.0.1:${silentPort}/app:1`,
      "--store",
      at("store"),
      "--tls-verify",
      "false",
    ],
    store: "store",
  },
  "sign, whose signing command takes long": {
    words: () => [
      "sign",
      name,
      "--store",
      at("store"),
      "--with-key",
      at("alice.pub"),
      "--sign-cmd",
      "exec sleep 600",
    ],
    store: "store",
  },
};

describe.each(Object.entries(commands))("%s", (_, { words, store }) => {
  test.each(["SIGINT", "SIGTERM"] as const)("ends by %s", async (signal) => {
    const started = run(words());
    await until(() => hearsSignals(started.child));
    started.child.kill(signal);
    const { status, err } = await started.end();
    expect(err).toMatch(new RegExp(`^sealfs: ${words()[0]}: ended by ${signal}\n$`));
    expect(status).toBe(statuses[signal]);
    expect(leftovers(at(store))).toEqual([]);
  });
});

describe.each(["fsck", "gc"])("%s that waits for others", (command) => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("ends by %s", async (signal) => {
    const lock = StoreLock.exclusive(Store.open(at("store")), 0);
    try {
      const started = run([command, "--store", at("store"), "--timeout", "600"]);
      await until(() => hearsSignals(started.child));
      started.child.kill(signal);
      const { status, err } = await started.end();
      expect(err).toBe(`sealfs: ${command}: ended by ${signal}\n`);
      expect(status).toBe(statuses[signal]);
    } finally {
      lock.release();
    }
  });
});

test("with --json the signal is in the document", async () => {
  const started = run(["import", "--store", at("new"), "--unverified", "--json"]);
  await until(() => hearsSignals(started.child));
  started.child.kill("SIGTERM");
  const { status, out } = await started.end();
  expect(status).toBe(143);
  expect(JSON.parse(out).error).toMatchObject({
    code: "INTERRUPTED",
    class: "SystemError",
    message: "import: ended by SIGTERM",
    exitStatus: 143,
  });
});

test("import from a pipe that a path names ends as well", async () => {
  spawnSync("mkfifo", [at("fifo")]);
  const holder = spawn("sh", ["-c", `exec 3>'${at("fifo")}'; exec sleep 600`], { stdio: "ignore" });
  try {
    const started = run(["import", at("fifo"), "--store", at("new"), "--unverified"]);
    await until(() => hearsSignals(started.child));
    started.child.kill("SIGINT");
    expect(await started.end()).toMatchObject({ status: 130, err: "sealfs: import: ended by SIGINT\n" });
  } finally {
    holder.kill();
  }
}); // prettier-ignore

test("a second SIGINT ends a command at once that is slow to end", async () => {
  const stubborn = `trap '' TERM; touch '${at("ready")}'; while :; do sleep 1; done`;
  const words = ["sign", name, "--store", at("store"), "--with-key", at("alice.pub")];
  const started = run([...words, "--sign-cmd", stubborn]);
  await until(() => existsSync(at("ready")));
  started.child.kill("SIGINT");
  await until(() => !hearsSignals(started.child));
  const pid = Number(
    spawnSync("pgrep", ["-P", String(started.child.pid)], { encoding: "utf8" }).stdout,
  );
  try {
    started.child.kill("SIGINT");
    const [, killedBy] = (await once(started.child, "exit")) as [number | null, string | null];
    expect(killedBy).toBe("SIGINT");
  } finally {
    process.kill(pid, "SIGKILL");
  }
});

describe("what a signal interrupts in a store", () => {
  test("gc hears a signal between two steps, and the next one does the rest", async () => {
    const built = ["build", `dir:${at("tree")}`, "--store", at("rest"), "--durability", "none"];
    await runMainOk(...built, "--name", "a");
    const rest = Store.open(at("rest"));
    rmSync(at("rest/images/refs"), { recursive: true });
    mkdirSync(at("rest/images/refs"));
    const controller = new AbortController();
    const collecting = collectGarbageUntil(controller.signal, rest, {
      sync: () => controller.abort(new Error("enough")),
      hearEveryMs: 0,
    });
    await expect(collecting).rejects.toThrow();
    const { removed } = collectGarbage(rest);
    expect(removed.images).toEqual([]);
    expect(removed.objects).toBe(21);
  });

  test("fsck stops with objects unread", async () => {
    for (const threads of [0, 1]) {
      const controller = new AbortController();
      const checking = checkStore(Store.open(at("store")), {
        threads,
        signal: controller.signal,
      });
      controller.abort(new Error("enough"));
      await expect(checking, String(threads)).rejects.toThrow();
    }
  });
});
