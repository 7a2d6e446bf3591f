/** Mounts under odd conditions: full disks, few descriptors, long names, signals. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { mountImage } from "../../src/mount/mount-image.ts";
import { Inode, S_IFCHR } from "../../src/tree/inode.ts";
import type { VerifiedImage } from "../../src/verify/verified-image.ts";
import { Disks } from "../support/disks.ts";
import { noKernelStack } from "../support/kernel.ts";
import {
  type MountBed,
  newDirectory,
  noLibfuse,
  noMount,
  useMountBed,
} from "../support/mount-bed.ts";
import { serverOf } from "../support/processes.ts";
import { scratchFolder } from "../support/scratch.ts";
import { sealfs, sealfsOk } from "../support/run.ts";
import { statusOf } from "../support/status.ts";

const FILES = 100;
const content = (i: number) => Buffer.alloc(9000, `file ${i} `);
const longFiles = ["x".repeat(254), "x".repeat(255)];
const longNames = ["a".repeat(254), "b".repeat(255)];

let bed: MountBed;
const disks = new Disks();
afterAll(() => disks.close());
useMountBed(noMount(), (made) => {
  bed = made;
  const root = newDirectory();
  for (let i = 0; i < FILES; i++) root.entries.set(ascii(`${i}`), bed.file(content(i)));
  for (const name of longFiles) root.entries.set(ascii(name), bed.file(Buffer.from("long\n")));
  for (const name of ["app:1", ...longNames]) bed.addTree(name, root);
  const odd = newDirectory();
  odd.entries.set(ascii("id"), bed.file(readFileSync("/usr/bin/id"), 0o4755));
  const zero = new Inode(S_IFCHR | 0o666);
  zero.rdev = 0x105;
  odd.entries.set(ascii("zero"), zero);
  bed.addTree("odd:1", odd);
});

const modes = [
  { options: ["--mode=kernel", "--require=metadata"], reason: noKernelStack() },
  { options: ["--mode=hybrid"], reason: noKernelStack() },
  { options: ["--transport=dev"], reason: noMount() },
  { options: ["--transport=fusermount"], reason: noMount() },
  { options: ["--transport=libfuse"], reason: noLibfuse() },
  { options: ["--mode=fuse", "--passthrough", "--require=open"], reason: noMount() },
];

describe.each(modes)("$options", ({ options, reason }) => {
  test.skipIf(reason !== undefined)(
    "images and files with the longest names are mounted",
    async () => {
      for (const name of longNames) {
        const target = bed.mount(name, options);
        try {
          for (const file of longFiles) {
            expect(readFileSync(join(target, file), "utf8")).toBe("long\n");
          }
          expect(await statusOf(target)).toMatchObject({ name, condition: "live" });
        } finally {
          bed.unmount(target);
        }
      }
    },
  );

  test.skipIf(reason !== undefined)(
    "64 descriptors are enough for many files at the same time",
    () => {
      const target = bed.directory();
      const command = ["-c", 'ulimit -n 64; exec "$@"', "-", process.execPath];
      const run = spawnSync("sh", [...command, ...bed.args("app:1", target, options)]);
      expect(run.status, run.stderr.toString()).toBe(0);
      try {
        const script = `
import sys
files = [open(f"{sys.argv[1]}/{i}", "rb") for i in range(${FILES})]
for i, file in enumerate(files):
    assert file.read() == (f"file {i} " * 9000).encode()[:9000], i
`;
        const read = spawnSync("python3", ["-c", script, target], { encoding: "utf8" });
        expect(read.stderr).toBe("");
      } finally {
        bed.unmount(target);
      }
    },
  );
});

/** Mounts a copy of the store at `store`, in which it gets no lease; file 7 is read, and the log returned. */
function logWithoutLease(store: string): string {
  const target = bed.directory();
  bed.clearLog();
  const args = ["mount", "app:1", target, "--store", store, "--key", bed.keyFile, "--mode=fuse"];
  sealfsOk([...args, "--log", bed.log]);
  try {
    expect(readFileSync(join(target, "7")).equals(content(7))).toBe(true);
    return bed.readLog().join("\n");
  } finally {
    bed.unmount(target);
  }
}

function copyStore(store: string): void {
  cpSync(bed.store.path, store, { recursive: true, verbatimSymlinks: true });
}

test("a full disk does not forbid a mount; that its lease is missing is told", () => {
  const disk = disks.tmpfs("size=4m");
  const store = join(disk, "store");
  copyStore(store);
  expect(() => writeFileSync(join(disk, "rest"), Buffer.alloc(8 << 20))).toThrow(/ENOSPC/);
  expect(logWithoutLease(store)).toMatch(/lease: .*no space.*sealfs gc may remove/i);
});

test.for(["leases", "lock", "lock.gate"])(
  "a link in place of %s does not forbid a mount, either, and nothing is written where it leads",
  (name) => {
    const folder = scratchFolder();
    const store = join(folder, "store");
    copyStore(store);
    mkdirSync(join(folder, "victim"));
    rmSync(join(store, name), { recursive: true, force: true });
    symlinkSync(join(folder, name === "leases" ? "victim" : "victim/file"), join(store, name));
    expect(logWithoutLease(store)).toContain("sealfs gc may remove what this mount needs");
    expect(readdirSync(join(folder, "victim"))).toEqual([]);
  },
);

test("SIGUSR1 opens no debugger in a server", () => {
  const target = bed.mount("app:1");
  const pid = serverOf(target);
  const sockets = () =>
    readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
      } catch {
        return false; // closed meanwhile
      }
    }).length;
  try {
    const before = sockets();
    process.kill(pid, "SIGUSR1");
    for (let i = 0; i < 5; i++) readFileSync(join(target, `${i}`));
    expect(sealfs(["status", target]).status).toBe(0); // it has answered since
    expect(sockets()).toBeLessThanOrEqual(before);
  } finally {
    bed.unmount(target);
  }
});

describe("set-user-ID programs and devices", () => {
  test.each(modes)(
    "count with --allow-suid and --allow-dev alone, with $options",
    ({ options, reason }) => {
      if (reason !== undefined) return;
      for (const [more, isOn] of [
        [[], false],
        [["--allow-suid", "--allow-dev"], true],
      ] as const) {
        // prettier-ignore
        const target = bed.mount("odd:1", [...options, ...more]);
        try {
          const run = spawnSync(join(target, "id"), ["-u"], {
            uid: 1000,
            gid: 1000,
            encoding: "utf8",
          });
          expect(run.stdout.trim()).toBe(isOn ? "0" : "1000");
          const read = spawnSync("head", ["-c", "3", join(target, "zero")]);
          expect(read.stdout.length).toBe(isOn ? 3 : 0);
        } finally {
          bed.unmount(target);
        }
      }
    },
  );

  test("are for root alone", async () => {
    const target = bed.directory();
    const user = vi.spyOn(process, "geteuid").mockReturnValue(1000);
    onTestFinished(() => user.mockRestore());
    for (const right of ["suid", "dev"] as const) {
      const options = { stores: [bed.store.path], [right]: true };
      await expect(mountImage({} as VerifiedImage, target, options)).rejects.toMatchObject({
        code: "PERMISSION",
        message: `--allow-${right}: only root may mount so`,
      });
    }
  });
});

describe("what a process lacks is named", () => {
  test("room in files, by ulimit -f", () => {
    const command = ["-c", 'ulimit -f 4; exec "$@"', "-", process.execPath];
    const run = spawnSync("bash", [...command, ...bed.args("app:1", bed.directory())], {
      encoding: "utf8",
    });
    expect(run.stderr).toMatch(
      /mount: image of \d+ bytes, in memory: .*\n +a file size limit is set \(ulimit -f\)/,
    );
    expect(run.status).toBe(1);
  });

  test("descriptors, by ulimit -n, without a stack trace", () => {
    const limited = (most: number) =>
      spawnSync("bash", ["-c", `ulimit -n ${most}; exec "$@"`, "-", process.execPath, ...bed.args("app:1", bed.directory(), ["--mode=fuse"])], { encoding: "utf8" }); // prettier-ignore
    for (const most of [30, 34, 38, 42]) {
      const { status, stderr } = limited(most);
      if (status === 0) continue;
      expect(stderr).toMatch(/^sealfs: .*EMFILE.*\n +.*\(ulimit -n\)/);
      expect(stderr).not.toMatch(/\n +at /);
    }
  });

  test("the working directory, where a path starts from it", () => {
    const gone = bed.directory();
    const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"';
    const run = spawnSync("sh", ["-c", script, "-", gone, process.execPath, ...bed.args("app:1", "here")], { encoding: "utf8" }); // prettier-ignore
    expect(run.stderr).toMatch(/^sealfs: working directory: not there any more\n .*cd, or/);
    expect(run.status).toBe(1);
  });

  test("/proc", () => {
    const args = bed.args("app:1", bed.directory());
    const script = 'umount -l -R /proc && exec "$@"';
    const run = spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", script, "-", process.execPath, ...args], { encoding: "utf8" }); // prettier-ignore
    expect(run.stderr).toMatch(/\/proc: not mounted.*\n +mount it with: mount -t proc proc \/proc/);
    expect(run.status).toBe(1);
  });
});

test("a log of its own has the number of its server, and goes with it", async () => {
  const target = bed.directory();
  const args = ["mount", "app:1", target, "--store", bed.store.path, "--key", bed.keyFile, "--mode=fuse"]; // prettier-ignore
  sealfsOk(args);
  const { log, pid } = await statusOf(target);
  expect(log).toMatch(new RegExp(`/\\d+-\\d+\\.${pid}\\.log$`));
  bed.unmount(target);
  expect(existsSync(log!)).toBe(false);
});
