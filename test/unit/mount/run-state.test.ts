/** Files of mounts whose numbers the kernel gives away again, as soon as a mount has gone. */
import { chownSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { announce } from "../../../src/mount/server/announcement.ts";
import {
  type MountState,
  newLogPath,
  readState,
  removeState,
  statePath,
  writeState,
} from "../../../src/mount/table/run-state.ts";
import type { Served } from "../../../src/fuse/transport.ts";
import { scratchFolder } from "../../support/scratch.ts";

const DEVICE = "0:55";

const stateOf = (pid: number): MountState => ({
  pid,
  target: "/mnt",
  image: {
    name: "app:1",
    digest: "a".repeat(64) as MountState["image"]["digest"],
    version: 1,
    created: "2026-01-01T00:00:00Z",
    expires: "2036-01-01T00:00:00Z",
    signedBy: [],
  },
  mode: "fuse",
  promise: "block",
  stores: [],
  since: "2026-01-01T00:00:00Z",
});

// A run directory of its own, also for root, whose real one other tests look at.
beforeEach(() => {
  const own = process.geteuid!();
  const uid = own === 0 ? 54321 : own;
  const run = scratchFolder();
  mkdirSync(join(run, "sealfs"), { mode: 0o700 });
  chownSync(join(run, "sealfs"), uid, -1);
  vi.stubEnv("XDG_RUNTIME_DIR", run);
  vi.spyOn(process, "geteuid").mockReturnValue(uid);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test("a dead server's files are removed, those of another mount of that number stay", () => {
  writeState(DEVICE, stateOf(3));
  writeFileSync(statePath(DEVICE, "sock"), "");
  removeState(DEVICE, 2);
  expect(readState(DEVICE)?.pid).toBe(3);
  expect(existsSync(statePath(DEVICE, "sock"))).toBe(true);
  removeState(DEVICE, 3);
  expect(readState(DEVICE)).toBeUndefined();
  expect(existsSync(statePath(DEVICE, "sock"))).toBe(false);
});

test("a server that ends leaves what another mount of its number has announced", async () => {
  const served = { counters: undefined } as unknown as Served;
  const parts = { device: DEVICE, served, prefetch: undefined, lazy: undefined, log: () => {} };
  const first = await announce({}, { ...parts, state: stateOf(2) });
  expect(readState(DEVICE)?.pid).toBe(2);
  // The second says whose the files are, and waits until the first one's socket has gone.
  const second = announce({}, { ...parts, state: stateOf(3) });
  await vi.waitUntil(() => readState(DEVICE)?.pid === 3);
  first.end();
  const announcement = await second;
  expect(readState(DEVICE)?.pid).toBe(3);
  expect(existsSync(statePath(DEVICE, "sock"))).toBe(true);
  announcement.end();
  expect(readState(DEVICE)).toBeUndefined();
  expect(existsSync(statePath(DEVICE, "sock"))).toBe(false);
});

test("a log is its server's own: that of a living one stays, those of dead ones go", () => {
  const living = newLogPath(DEVICE, process.pid);
  const dead = newLogPath(DEVICE, 2 ** 22 + 1); // above the highest number of a process
  const other = newLogPath("0:5", 2 ** 22 + 1);
  for (const path of [living, dead, other]) writeFileSync(path, "");
  const next = newLogPath(DEVICE, 1);
  expect(new Set([living, dead, next]).size).toBe(3);
  expect([living, dead, other].map((path) => existsSync(path))).toEqual([true, false, true]);
  // What an earlier server of the same number has left is not this one's.
  newLogPath(DEVICE, process.pid);
  expect(existsSync(living)).toBe(false);
});
