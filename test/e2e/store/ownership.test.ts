/** Whose a store is, and who can hold its locks (docs/store.md, "Whose it is" and "Locks"). */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { takeLease } from "../../../src/store/leases.ts";
import { StoreLock } from "../../../src/store/lock.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { hasProgram } from "../../support/run.ts";
import { digestOf, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const nobody = 65534;
const isRoot = process.geteuid?.() === 0;
const modeOf = (path: string) => statSync(path).mode & 0o777;

let store: Store;
beforeEach(() => {
  store = Store.create(join(scratchFolder(), "store"));
});

describe.skipIf(!isRoot)("root, on a store that is not its own (skipped: needs root)", () => {
  const others: readonly [whose: string, make: () => void, message: RegExp][] = [
    ["of another user", () => chownSync(store.path, nobody, 0), /store belongs to the user 65534/],
    [
      "with a directory of another user",
      () => chownSync(join(store.path, "tmp"), nobody, 0),
      /tmp belongs to the user/,
    ],
    ["that everybody can write to", () => chmodSync(store.path, 0o777), /everybody can write to/],
    [
      "with a directory that everybody can write to",
      () => chmodSync(join(store.path, "images/refs"), 0o1777),
      /everybody can write to .*refs/,
    ],
    [
      "that a group can write to",
      () => (chownSync(store.path, 0, nobody), chmodSync(store.path, 0o775)),
      /the group 65534 can write/,
    ],
  ];

  test.each(others)(
    "%s: reads, takes no lease, and writes only when told to",
    (_, make, message) => {
      const id = publish(store, "app", ["a"]);
      make();
      const opened = Store.open(store.path);
      expect(opened.images.resolve("app")).toBe(id);
      opened.objects.verify(digestOf("a"));
      expect(takeLease(opened, id, () => [])).toBeUndefined();
      expect(opened.writeLeaves(digestOf("a"), Buffer.alloc(32))).toBe(false);
      for (const write of [
        () => Transaction.begin(opened),
        () => StoreLock.exclusive(opened),
        () => Store.create(store.path).requireWritable(),
      ]) {
        expect(write).toThrow(message);
        expect(write).toThrow(
          expect.objectContaining({
            code: "PERMISSION",
            hint: expect.stringContaining("--foreign-store"),
          }),
        );
      }
      expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
      const told = Store.open(store.path, { foreignOwner: true });
      publish(told, "other", ["b"]);
      expect(told.images.refs().length).toBe(2);
    },
  );

  test("does not make a store in a directory of another user", () => {
    const path = join(scratchFolder(), "new");
    mkdirSync(path);
    chownSync(path, nobody, nobody);
    expect(() => Store.create(path)).toThrow(/belongs to the user 65534/);
    expect(readdirSync(path)).toEqual([]);
  });

  test("leaves its owner a lock that they can open", () => {
    for (const name of ["lock", "lock.gate"]) rmSync(join(store.path, name));
    chownSync(store.path, nobody, nobody);
    StoreLock.shared(Store.open(store.path, { foreignOwner: true })).release();
    for (const name of ["lock", "lock.gate"]) {
      expect(statSync(join(store.path, name)).uid).toBe(nobody);
    }
  });

  test("with a group of its own or none is its own", () => {
    chmodSync(store.path, 0o775);
    publish(Store.open(store.path), "app", ["a"]);
  });
});

describe("a lock", () => {
  test.each([
    [0o755, 0o600],
    [0o700, 0o600],
    [0o775, 0o660],
    [0o777, 0o666],
  ])("of a store of mode %o can be opened by those who may write to it", (mode, expected) => {
    for (const name of ["lock", "lock.gate"]) rmSync(join(store.path, name));
    chmodSync(store.path, mode);
    StoreLock.shared(Store.open(store.path, { foreignOwner: true })).release();
    expect([modeOf(join(store.path, "lock")), modeOf(join(store.path, "lock.gate"))]).toEqual([
      expected,
      expected,
    ]);
  });

  test("that others could open is closed to them by the next command of its owner", () => {
    chmodSync(join(store.path, "lock.gate"), 0o644);
    StoreLock.shared(store).release();
    expect(modeOf(join(store.path, "lock.gate"))).toBe(0o600);
  });

  test("and a lease are as closed when they are made", () => {
    expect(modeOf(join(store.path, "lock"))).toBe(0o600);
    const id = publish(store, "app", ["a"]);
    const lease = takeLease(store, id, () => []);
    const [name] = readdirSync(join(store.path, "leases"));
    expect(modeOf(join(store.path, "leases", name!))).toBe(0o600);
    lease?.release();
  });

  test.skipIf(!isRoot)(
    "cannot be held by who may only read the store (skipped: needs root)",
    () => {
      chmodSync(join(store.path, ".."), 0o755);
      const held = spawnSync("flock", ["-n", join(store.path, "lock"), "true"], {
        uid: nobody,
        gid: nobody,
        cwd: "/",
        encoding: "utf8",
      });
      expect(held.stderr).toMatch(/denied/);
      expect(held.status).not.toBe(0);
    },
  );

  test.skipIf(!hasProgram("flock"))(
    "that another process holds: the error names the process",
    async () => {
      const ready = join(store.path, "tmp", "ready");
      const child = spawn(
        "flock",
        [join(store.path, "lock"), "sh", "-c", `: > '${ready}'; exec sleep 60`],
        { stdio: "ignore" },
      );
      await until(() => existsSync(ready));
      try {
        expect(() => StoreLock.exclusive(store, 0)).toThrow(
          expect.objectContaining({
            code: "BUSY",
            hint: expect.stringMatching(new RegExp(`held by process .*\\b${child.pid}\\b`)),
          }),
        );
      } finally {
        child.kill();
      }
    },
  );
});
