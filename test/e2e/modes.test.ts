/** The modes of a mount with the real command: what each shows, promises, and leaves behind. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { HardLink, type Inode } from "../../src/tree/inode.ts";

import { loopsOf, noKernelStack } from "../support/kernel.ts";
import {
  type MountBed,
  isMounted,
  newDirectory,
  noMount,
  useMountBed,
} from "../support/mount-bed.ts";
import { bin, runProgram } from "../support/run.ts";
import { errnoOf } from "../support/mounted-view.ts";
import { serverOf } from "../support/processes.ts";
import { until } from "../support/until.ts";

const reason = noKernelStack() ?? noMount();
let bed: MountBed;
let large: Inode;
let image: Uint8Array;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  large = bed.file(Buffer.alloc(300_000, "large "));
  root.entries.set(ascii("large"), large);
  root.entries.set(ascii("link"), new HardLink(large));
  large.nlink = 2;
  root.entries.set(ascii("small"), bed.file(Buffer.alloc(100, "small ")));
  root.entries.set(ascii("text"), bed.file(Buffer.from("text\n")));
  // Of this run alone: loop devices are found by their content.
  root.mtimeSeconds = BigInt(process.pid);
  root.entries.set(ascii("absent"), bed.file(Buffer.alloc(5000, "absent ")));
  rmSync(bed.objectOf(root.entries.get(ascii("absent")) as Inode));
  image = writeImage(root);
  bed.add("app:1", image);
});

const loops = () => loopsOf(image).length;

function tamper(inode: Inode, change: (bytes: Buffer) => Buffer): () => void {
  const path = bed.objectOf(inode);
  const before = readFileSync(path);
  chmodSync(path, 0o644);
  writeFileSync(path, change(Buffer.from(before)));
  return () => writeFileSync(path, before);
}

const dropCaches = () => spawnSync("sh", ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"]);

describe("hybrid mode", () => {
  test("reads files, and refuses what is missing", async () => {
    const target = bed.mount("app:1", ["--mode=hybrid"]);
    try {
      expect(readFileSync(join(target, "large"))).toEqual(Buffer.alloc(300_000, "large "));
      expect(readFileSync(join(target, "link")).length).toBe(300_000);
      const [one, other] = ["large", "link"].map((name) => statSync(join(target, name)));
      expect([other?.ino, other?.nlink]).toEqual([one?.ino, 2]);
      expect(readFileSync(join(target, "small"))).toEqual(Buffer.alloc(100, "small "));
      expect(readFileSync(join(target, "text"), "utf8")).toBe("text\n");
      expect(errnoOf(() => readFileSync(join(target, "absent")))).toBe("EIO");
      const line = /\/absent: READ: object [0-9a-f]{64}: /;
      await until(() => bed.readLog().some((each) => line.test(each)));
      const direct = ["bs=1000", "skip=299", "count=1", "iflag=direct", "status=none"];
      const tail = spawnSync("dd", [`if=${target}/large`, ...direct]);
      if (tail.status === 0) expect(tail.stdout.length).toBe(1000);
    } finally {
      bed.unmount(target);
    }
  });

  test.each([
    ["a changed byte", (bytes: Buffer) => ((bytes[200_000]! ^= 1), bytes)],
    ["a cut end", (bytes: Buffer) => bytes.subarray(0, 299_999)],
    ["an added byte", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("x")])],
  ])("refuses %s, before and while it is open", (_, change) => {
    const target = bed.mount("app:1", ["--mode=hybrid"]);
    const path = join(target, "large");
    try {
      let restore = tamper(large, change);
      expect(errnoOf(() => readFileSync(path))).toBe("EIO");
      restore();
      expect(readFileSync(path).length).toBe(300_000); // repaired: read at once
      dropCaches();
      restore = tamper(large, change);
      const got = spawnSync("cat", [path]);
      const right = Buffer.alloc(300_000, "large ");
      // All of what was read is right, whether the kernel had it or not.
      expect(right.subarray(0, got.stdout.length).equals(got.stdout)).toBe(true);
      restore();
    } finally {
      bed.unmount(target);
    }
  });

  test("takes changes into an upper directory", () => {
    const upper = bed.directory();
    const work = bed.directory();
    const args = ["--mode=hybrid", `--upper=${upper}`, `--work=${work}`];
    const target = bed.mount("app:1", args);
    try {
      writeFileSync(join(target, "new"), "new");
      writeFileSync(join(target, "small"), "changed", { flag: "a" });
      expect(readFileSync(join(upper, "small")).length).toBe(107);
      expect(errnoOf(() => writeFileSync(join(target, "absent"), "x", { flag: "a" }))).toBe("EIO");
    } finally {
      bed.unmount(target);
    }
  });

  test("ends with its mount, and leaves nothing behind, again and again", async () => {
    const servers = () => spawnSync("pgrep", ["-f", bed.path]).stdout.toString();
    const before = servers();
    const target = bed.directory();
    for (let i = 0; i < 5; i++) {
      bed.mount("app:1", ["--mode=hybrid"], target);
      readFileSync(join(target, "large"));
      bed.unmount(target);
      expect(isMounted(target)).toBe(false);
    }
    await until(() => loops() === 0 && servers() === before);
  });

  test("ends under SIGTERM, and is cleaned up after SIGKILL", async () => {
    for (const signal of ["TERM", "KILL"]) {
      const target = bed.mount("app:1", ["--mode=hybrid"]);
      const pid = serverOf(target);
      readFileSync(join(target, "small"));
      spawnSync("kill", [`-${signal}`, String(pid)]);
      await until(() => !isMounted(target));
    }
  });
});

describe("kernel mode with the promise metadata", () => {
  const args = ["--mode=kernel", "--require=metadata"];

  test("says so, and serves what the store has", (context) => {
    const target = bed.directory();
    const mounted = spawnSync(process.execPath, bed.args("app:1", target, args), {
      encoding: "utf8",
    });
    if (/\(kernel, block\)/.test(mounted.stderr)) {
      bed.unmount(target);
      context.skip("this store has fs-verity");
    }
    try {
      expect(mounted.stderr).toMatch(/mounted app:1 on .* \(kernel, metadata\)/);
      expect(mounted.stderr).toMatch(/warning: file content is not checked/);
      expect(readFileSync(join(target, "large")).length).toBe(300_000);
      expect(errnoOf(() => readFileSync(join(target, "absent")))).toBe("ENOENT");
    } finally {
      bed.unmount(target);
    }
    expect(isMounted(target)).toBe(false);
  });
});

describe("the choice", () => {
  const status = (args: readonly string[]) => {
    const target = bed.directory();
    const { status: code, stderr } = spawnSync(
      process.execPath,
      [bin, "mount", "app:1", target, "--store", bed.store.path, "--key", bed.keyFile, ...args],
      { encoding: "utf8" },
    );
    if (isMounted(target)) runProgram(process.execPath, [bin, "umount", target]);
    return { code, stderr };
  };

  test("goes to the kernel's stack by itself, with every block checked", () => {
    expect(status([]).stderr).toMatch(/\((kernel|hybrid), block\)/);
  });

  test("goes to FUSE when a transport is named, or others are kept out", () => {
    expect(status(["--transport=dev"]).stderr).toMatch(/\(fuse over dev, block\)/);
    expect(status(["--no-allow-other"]).stderr).toMatch(/\(fuse over dev, block\)/);
  });

  test("does not go below what is required", (context) => {
    const kernel = status(["--mode=kernel"]);
    if (kernel.code === 0) context.skip("this store has fs-verity");
    expect(kernel).toMatchObject({ code: 1 });
    expect(kernel.stderr).toMatch(/no kernel mode here that promises block: kernel: .*fs-verity/);
    expect(kernel.stderr).toMatch(/--require=metadata lets kernel mount/);
  });

  test("refuses wishes that exclude each other", () => {
    expect(status(["--mode=hybrid", "--no-allow-other"])).toMatchObject({ code: 2 });
    expect(status(["--upper", bed.path])).toMatchObject({ code: 2 });
    const { stderr } = status(["--mode=fuse", "--upper", bed.path, "--work", bed.path]);
    expect(stderr).toMatch(/an upper directory needs the kernel's overlay/);
  });

  test("a directory for changes that cannot be one leaves nothing behind", () => {
    mkdirSync(join(bed.path, "u"), { recursive: true });
    const refused = status(["--upper", join(bed.path, "u"), "--work", join(bed.path, "nowhere")]);
    expect(refused.code).toBe(7);
    expect(refused.stderr).toMatch(/--work .*nowhere: not there/);
    expect(loops()).toBe(0);
  });
});
