/** Mounts under pressure: few descriptors, and readers that try bad objects without end. */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { ways } from "../support/modes.ts";
import { type MountBed, newDirectory, noMount, useMountBed } from "../support/mount-bed.ts";
import { runProgram } from "../support/run.ts";
import { serverOf } from "../support/processes.ts";
import { descriptorsOf } from "../support/remains.ts";
import { statusOf } from "../support/status.ts";

const reason = noMount();
const FILES = 150;
const BAD = 300;
/** Larger than what is opened anew for each read. */
const contentOf = (i: number) => Buffer.alloc(150_000 + i, `file ${i} `);
let bed: MountBed;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  root.mode = 0o40755;
  for (let i = 0; i < FILES; i++) root.entries.set(ascii(`good${i}`), bed.file(contentOf(i)));
  for (let i = 0; i < BAD; i++) {
    const bad = bed.file(Buffer.alloc(5000 + i, "bad"));
    root.entries.set(ascii(`bad${i}`), bad);
    writeFileSync(bed.objectOf(bad), Buffer.alloc(5000 + i, "evil"));
  }
  bed.addTree("app:1", root);
});

/** Opens every good file and keeps it open, then reads all of them in turns, piece by piece. */
const HOLD = `
import os, sys
fds = [os.open(f"{sys.argv[1]}/good{i}", os.O_RDONLY) for i in range(${FILES})]
for at in (0, 100000, 140000):
    for i, fd in enumerate(fds):
        word = b"file %d " % i
        want = (word * (160000 // len(word)))[at:at + 5000]
        assert os.pread(fd, 5000, at) == want, (i, at)
print(len(fds))`;

/** Opens bad files again and again; every single time it must be EIO. */
const TRY = `
import errno, os, sys
for i in range(int(sys.argv[2])):
    try:
        fd = os.open(f"{sys.argv[1]}/bad{i % ${BAD}}", os.O_RDONLY)
        os.read(fd, 1)
    except OSError as error:
        assert error.errno == errno.EIO, error
        try: os.close(fd)
        except Exception: pass
        continue
    raise AssertionError("read")
print("all refused")`;

const served = ways.filter(({ mode }) => mode !== "kernel");

describe.each(served)("mode $name", ({ args, missing }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));

  test("a process with few descriptors serves many open files", () => {
    const target = bed.directory();
    const words = [process.execPath, ...bed.args("app:1", target, args)].map((word) => `'${word}'`);
    runProgram("sh", ["-c", `ulimit -n 100; ${words.join(" ")}`]);
    const server = serverOf(target);
    expect(readFileSync(`/proc/${server}/limits`, "utf8")).toMatch(/Max open files +100 /);
    expect(runProgram("python3", ["-c", HOLD, target]).trim()).toBe(String(FILES));
    expect(descriptorsOf(server).length).toBeLessThan(100);
    expect(bed.readLog()).toEqual([]);
    bed.unmount(target);
  });

  test("bad objects are EIO every time, and neither log nor memory grows", async () => {
    const tries = process.env["SLOW"] === "1" ? 100_000 : 3000;
    const target = bed.mount("app:1", args);
    const before = resident(serverOf(target));
    const tried = spawnSync("python3", ["-c", TRY, target, String(tries)], {
      encoding: "utf8",
      timeout: 1_500_000,
    });
    expect(tried.stdout.trim(), tried.stderr).toBe("all refused");
    // 200 lines in a minute, and one with the number of the others.
    const minutes = 1 + Math.ceil((Date.now() - statSync(bed.log).birthtimeMs) / 60_000);
    expect(bed.readLog().length).toBeLessThanOrEqual(minutes * 201);
    expect(resident(serverOf(target)) - before).toBeLessThan(200);
    expect((await statusOf(target)).counters?.failures.content).toBeGreaterThanOrEqual(tries);
    bed.unmount(target);
    expect(bed.readLog().at(-1)).toMatch(/\d+ more problems, not shown/);
    bed.clearLog();
  }, 1_600_000);
});

/** Memory of a process in MiB. */
function resident(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]) / 1024;
}
