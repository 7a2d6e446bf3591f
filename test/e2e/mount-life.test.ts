/** The life of a mount in every mode: however it ends, nothing of it is left. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { ways } from "../support/modes.ts";
import { MountBed, isMounted, newDirectory, noMount } from "../support/mount-bed.ts";
import { bin, runProgram } from "../support/run.ts";
import { processesOf, serverOf } from "../support/processes.ts";
import { descriptorsOf, remainsOf } from "../support/remains.ts";
import { statusOf } from "../support/status.ts";
import { until } from "../support/until.ts";

const reason = noMount();
const faulty = new URL("../support/faulty-server.cjs", import.meta.url).pathname;
const content = Buffer.alloc(300_000, "large ");
const rounds = process.env["SLOW"] === "1" ? 60 : 5;

describe.each(ways)("mode $name", ({ mode, args, missing }) => {
  let bed: MountBed;
  let image: Uint8Array;
  beforeEach((context) => context.skip(missing !== undefined, missing));
  beforeAll(() => {
    if (missing !== undefined) return;
    bed = new MountBed();
    const root = newDirectory();
    root.mode = 0o40755;
    // Of this test alone: loop devices are found by their content.
    root.entries.set(ascii(`large-${process.pid}-${mode}`), bed.file(content));
    image = writeImage(root);
    bed.add("app:1", image);
  });
  afterAll(() => bed?.close());

  const file = (target: string) => join(target, `large-${process.pid}-${mode}`);
  const remains = (target: string) => remainsOf(bed, target, image);
  const expectNothing = async (target: string) => {
    await until(() => expect(remains(target)).toEqual([]));
  };
  const use = (target: string) => expect(readFileSync(file(target)).equals(content)).toBe(true);

  test(`${rounds} mounts and unmounts in a row leave nothing, whichever way they are unmounted`, async () => {
    const target = bed.directory();
    const own = descriptorsOf(process.pid).length;
    for (let i = 0; i < rounds; i++) {
      bed.mount("app:1", args, target);
      use(target);
      if (i % 3 === 0) runProgram("umount", [target]);
      else if (i % 3 === 1) runProgram("umount", ["-l", target]);
      else bed.unmount(target);
      expect(isMounted(target)).toBe(false);
    }
    await expectNothing(target);
    expect(descriptorsOf(process.pid).length).toBe(own);
  }, 600_000);

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const)(
    "%s of the server ends it",
    async (signal) => {
      const target = bed.mount("app:1", args);
      use(target);
      process.kill(serverOf(target), signal);
      await until(() => !isMounted(target));
      // Killed, it leaves its lease, which is dead.
      if (signal === "SIGKILL")
        runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
      await expectNothing(target);
    },
  );

  test("a server with an error that nobody has expected ends, and its mount with it", async () => {
    const target = bed.directory();
    const command = spawnSync(process.execPath, bed.args("app:1", target, args), {
      env: { ...process.env, NODE_OPTIONS: `--require ${faulty}` },
      stdio: "ignore",
    });
    expect(command.status).toBe(0);
    use(target);
    process.kill(serverOf(target), "SIGUSR2");
    await until(() => !isMounted(target));
    runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
    await expectNothing(target);
  });

  test("a mount point of any name is cleaned up after SIGKILL", async () => {
    const target = join(bed.path, `a b\\c\td'"$(x) ${mode}`);
    mkdirSync(target);
    bed.mount("app:1", args, target);
    use(target);
    process.kill((await statusOf(target)).pid!, "SIGKILL");
    const gone = () => spawnSync(process.execPath, [bin, "status", target]).status === 7;
    await until(gone);
    expect(spawnSync("mountpoint", ["-q", target]).status).not.toBe(0);
    rmdirSync(target);
    runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
  });

  test("signals while the mount is being made leave either all of it or nothing", async () => {
    for (let i = 0; i < 8; i++) {
      const target = bed.directory();
      const command = spawn(process.execPath, bed.args("app:1", target, args), { stdio: "ignore" });
      const gone = new Promise((resolve) => command.once("exit", resolve));
      const servers = () => processesOf(JSON.stringify(target));
      await until(() => servers().length > 0);
      await new Promise((resolve) => setTimeout(resolve, i * 40));
      const [pid] = servers()[0]?.split(" ") ?? [];
      if (pid !== undefined) process.kill(Number(pid), i % 2 === 0 ? "SIGTERM" : "SIGKILL");
      await gone;
      runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
      await expectNothing(target);
    }
  });

  test("a command that is killed before it has heard of success leaves no mount", async () => {
    for (const delay of [0, 60, 120]) {
      const target = bed.directory();
      const command = spawn(process.execPath, bed.args("app:1", target, args), { stdio: "ignore" });
      await until(() => processesOf(JSON.stringify(target)).length > 0);
      await new Promise((resolve) => setTimeout(resolve, delay));
      command.kill("SIGKILL");
      const server = () => processesOf(JSON.stringify(target)).length > 0;
      // It may have heard, with the last of these delays; then the mount is whole.
      await until(() => !server() || isMounted(target));
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (isMounted(target)) spawnSync(process.execPath, [bin, "umount", target]);
      await expectNothing(target);
    }
  });

  test("a mount in use is taken away lazily, and lives until its last user has gone", async () => {
    const target = bed.mount("app:1", args);
    const user = await holding(`exec 3<${file(target)}; echo; read x; cksum <&3`);
    runProgram("umount", ["-l", target]);
    expect(isMounted(target)).toBe(false);
    expect(readdirSync(join(bed.store.path, "leases"))).toHaveLength(1);
    expect(await answerOf(user)).toContain("300000");
    await expectNothing(target);
  });

  test("a copy in another mount namespace", async () => {
    const target = bed.mount("app:1", args);
    const user = await holding(`echo; read x; cksum < ${file(target)}`, [
      "unshare",
      "-m",
      "--propagation",
      "private",
    ]);
    bed.unmount(target);
    if (mode === "kernel") {
      // Nobody can end it from here: what it needs is kept as long as it lives.
      expect(readdirSync(join(bed.store.path, "leases"))).toHaveLength(1);
      expect(await answerOf(user)).toContain("300000");
    } else {
      expect(processesOf(JSON.stringify(target))).toEqual([]);
      expect(await answerOf(user)).not.toContain("300000");
    }
    await expectNothing(target);
  });
});

/** A shell that has come to its `echo`. */
async function holding(script: string, words: readonly string[] = []): Promise<ChildProcess> {
  const [command, ...args] = [...words, "sh", "-c", script];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

/** Lets it go on; what it says then. */
async function answerOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.stdin?.end("\n");
  await gone;
  return text;
}

describe("a full disk", () => {
  beforeEach((context) => context.skip(reason !== undefined, reason));
  let bed: MountBed;
  beforeAll(() => {
    if (reason === undefined) bed = new MountBed();
  });
  afterAll(() => bed?.close());

  test("of log, metrics, run directory and leaf cache does not end a mount, nor keep it from ending", () => {
    const small = bed.directory();
    const target = bed.directory();
    const root = newDirectory();
    const large = Buffer.alloc(2_000_000, "more than a megabyte has its leaves kept ");
    root.entries.set(ascii("large"), bed.file(large));
    const gone = bed.file(Buffer.alloc(5000, "gone"));
    root.entries.set(ascii("gone"), gone);
    bed.addTree("app:1", root);
    runProgram("rm", [bed.objectOf(gone)]);
    const words = (args: readonly string[]) => args.map((word) => `'${word}'`).join(" ");
    const node = process.execPath;
    const mount = [node, bin, "mount", "app:1", target, "--store", `${small}/store`];
    mount.push("--key", bed.keyFile, "--state", "none", "--mode=fuse");
    mount.push("--log", `${small}/log`, "--metrics", `${small}/metrics`);
    // In a mount namespace of its own the run directory is full too.
    const script = `
      set -e
      mount -t tmpfs -o size=6m none ${small}
      cp -a ${bed.store.path} ${small}/store
      mkdir -p /run/sealfs
      mount -t tmpfs -o size=4k none /run/sealfs
      ${words(mount)}
      dd if=/dev/zero of=${small}/filler bs=4k 2>/dev/null || true
      cksum < ${target}/large
      cat ${target}/gone 2>&1 || true
      ls ${small}/store/verity
      ${words([node, bin, "umount", target])}
      mountpoint -q ${target} && echo still mounted
      ls /run/sealfs ${small}/store/leases ${small}
      umount ${small} && echo free`;
    const got = spawnSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
    const expected = spawnSync("cksum", { input: large, encoding: "utf8" }).stdout.trim();
    expect(got.stdout, got.stderr).toContain(expected);
    expect(got.stdout).toContain("Input/output error");
    expect(got.stdout).not.toContain("still mounted");
    expect(got.stdout).toContain("free");
    expect(processesOf(JSON.stringify(target))).toEqual([]);
    const [, after] = got.stdout.split("/run/sealfs:\n");
    expect(after).toMatch(/^\n\//); // the run directory is empty
    expect(after).not.toMatch(/metrics\.\d+/);
  });
});
