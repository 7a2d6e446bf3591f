/**
 * Servers that are killed: at any moment, and at the worst, when one of their threads waits for the file
 * system that they serve themselves. `test/faults/kill-mount.mjs` does the first for as long as wanted.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { findFusermount } from "../../src/sys/fusermount.ts";
import { ways } from "../support/modes.ts";
import { MountBed, isMounted, newDirectory, noMount } from "../support/mount-bed.ts";
import { bin, runProgram, succeeds } from "../support/run.ts";
import { processesOf, serverOf } from "../support/processes.ts";
import { remainsOf } from "../support/remains.ts";
import { until } from "../support/until.ts";

const script = fileURLToPath(new URL("../faults/kill-mount.mjs", import.meta.url));
const stuck = fileURLToPath(new URL("../support/stuck-server.mjs", import.meta.url));
const rounds = process.env["SLOW"] === "1" ? 100 : 2;
const strace = succeeds("strace", "-V") ? undefined : "strace is missing";

/** What the threads of a process wait for in the kernel. */
function waitsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/wchan`, "utf8"),
    );
  } catch {
    return []; // it has ended
  }
}

const WAITING = "request_wait_answer";

describe.each(ways)("mode $name", ({ name, mode, args, missing }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));

  test(`${rounds} servers killed at any moment leave nothing`, () => {
    const way = name.split(" ").at(-1)!;
    const killed = spawnSync(
      process.execPath,
      [script, "--rounds", String(rounds), "--until", "300", "--mode", way],
      { encoding: "utf8" },
    );
    expect(killed.stdout + killed.stderr).not.toContain("FAIL");
    expect(killed.status, killed.stderr).toBe(0);
  }, 900_000);

  test("a server killed while requests wait for its slow answers leaves nothing", async (context) => {
    context.skip(strace !== undefined, strace);
    context.skip(mode === "kernel", "it has no server of content");
    const bed = new MountBed();
    try {
      const root = newDirectory();
      root.entries.set(ascii("file"), bed.file(Buffer.alloc(9000, `${process.pid} ${name}`)));
      const image = writeImage(root);
      bed.add("app:1", image);
      const target = bed.directory();
      const slow = ["-f", "-qq", "-o", "/dev/null", "-P", "/dev/fuse", "-e", "trace=write"];
      // In microseconds; who waits for such an answer is seen waiting on a busy machine, too.
      const delay = mode === "hybrid" ? 5_000_000 : 700_000;
      slow.push("-e", `inject=write:delay_enter=${delay}`, process.execPath);
      const command = spawn("strace", [...slow, ...bed.args("app:1", target, args)], {
        stdio: "ignore",
      });
      const ended = once(command, "exit");
      const pid = await serverThatWaits(target, command, mode === "hybrid");
      process.kill(pid, "SIGKILL");
      await ended;
      runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
      await until(() => expect(remainsOf(bed, target, image)).toEqual([]));
    } finally {
      bed.close();
    }
  });
});

/** The server, as soon as a thread of its own waits for it, or where that never happens, has answered once. */
async function serverThatWaits(
  target: string,
  command: ChildProcess,
  mustWait: boolean,
): Promise<number> {
  const servers = () =>
    processesOf(JSON.stringify(target)).filter((each) => each.includes("server."));
  const pidOf = () => Number(servers()[0]?.split(" ")[0] ?? 0);
  let isWaiting = false;
  await until(() => {
    isWaiting ||= waitsOf(pidOf()).includes(WAITING);
    return isWaiting || isMounted(target) || command.exitCode !== null;
  });
  expect(isWaiting, "a thread of the server waits for an answer of its own").toBe(mustWait);
  const pid = pidOf();
  expect(pid).toBeGreaterThan(0);
  return pid;
}

test("a server killed while fusermount3 is about to mount for it leaves nothing", async (context) => {
  const way = ways.find(({ transport }) => transport === "fusermount");
  context.skip(way === undefined || way.missing !== undefined, way?.missing);
  const bed = new MountBed();
  try {
    bed.addTree("app:1", newDirectory());
    const target = bed.directory();
    const { path, isCalled, goOn } = heldFusermount(bed.path);
    const env = { ...process.env, PATH: `${path}:${process.env["PATH"]}` };
    const command = spawn(process.execPath, bed.args("app:1", target, way!.args), {
      stdio: "ignore",
      env,
    });
    const ended = once(command, "exit");
    await until(isCalled);
    process.kill(serverOf(target), "SIGKILL");
    await ended;
    expect(isMounted(target)).toBe(false);
    goOn();
    await until(() => expect(processesOf(target)).toEqual([]));
    runProgram(process.execPath, [bin, "gc", "--store", bed.store.path]);
    await until(() => expect(remainsOf(bed, target)).toEqual([]));
  } finally {
    bed.close();
  }
});

/** A fusermount3 that waits before it mounts, until it may go on; it is found in `path`. */
function heldFusermount(place: string) {
  const path = join(place, "bin");
  const [called, go] = [join(path, "called"), join(path, "go")];
  mkdirSync(path);
  const wait = `while [ ! -e '${go}' ]; do sleep 0.05; done`;
  const script = `#!/bin/sh\n: >'${called}'\n${wait}\nexec '${findFusermount()}' "$@"\n`;
  writeFileSync(join(path, "fusermount3"), script, { mode: 0o755 });
  return { path, isCalled: () => existsSync(called), goOn: () => writeFileSync(go, "") };
}

describe("the guard", () => {
  const reason = noMount() ?? noSignal();
  let bed: MountBed;
  beforeEach((context) => context.skip(reason !== undefined, reason));
  beforeAll(() => {
    if (reason === undefined) bed = new MountBed();
  });
  afterAll(() => bed?.close());

  test("ends a file system whose server cannot die, because a thread of it waits for it", async () => {
    const target = bed.directory();
    const server = spawn(process.execPath, [stuck, target], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(server, "exit");
    await once(server.stdout, "data");
    await until(() => waitsOf(server.pid!).includes(WAITING));
    server.kill("SIGKILL");
    await ended;
    await until(() => !isMounted(target) && processesOf(target).length === 0); // prettier-ignore
  });
});

/** Why the guard cannot hear of a server's death other than by its end. */
function noSignal(): string | undefined {
  const { status } = spawnSync("setpriv", ["--pdeathsig", "URG", "true"]);
  return status === 0 ? undefined : "setpriv has no --pdeathsig";
}
