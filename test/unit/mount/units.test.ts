/** The parts of mounting that need no mount: targets, the list of mounts, the log. */
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { NotFoundError, UsageError } from "../../../src/errors.ts";
import {
  type MountInfo,
  isSealfs,
  mountAt,
  parseMountinfo,
} from "../../../src/mount/table/mountinfo.ts";
import { ProblemLog } from "../../../src/mount/server/problem-log.ts";
import { checkHidesNothing, checkTarget } from "../../../src/mount/table/target.ts";
import { anonymousFile } from "../../../src/sys/memfd.ts";
import { workerUrl } from "../../../src/sys/worker.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { MountBed, isMounted, newDirectory, noMount } from "../../support/mount-bed.ts";
import { scratchFolder } from "../../support/scratch.ts";

let scratch: string;
beforeEach(() => {
  scratch = scratchFolder();
});

describe("a mount point", () => {
  test("is an empty directory, given by any path to it", () => {
    mkdirSync(join(scratch, "real/mnt"), { recursive: true });
    symlinkSync(join(scratch, "real"), join(scratch, "link"));
    expect(checkTarget(join(scratch, "link/mnt"))).toBe(join(scratch, "real/mnt"));
    expect(checkTarget(join(scratch, "real"), { nonempty: true })).toBe(join(scratch, "real"));
  });

  test("is nothing else", () => {
    mkdirSync(join(scratch, "full/x"), { recursive: true });
    symlinkSync(join(scratch, "full/x"), join(scratch, "link"));
    writeFileSync(join(scratch, "file"), "");
    for (const name of ["full", "link", "file"]) {
      expect(() => checkTarget(join(scratch, name)), name).toThrow(UsageError);
    }
    expect(() => checkTarget(join(scratch, "none"))).toThrow(NotFoundError);
  });
});

describe("a mount hides nothing that its server needs", () => {
  const target = () => join(scratch, "mnt");
  const hides = (...names: string[]) => () => checkHidesNothing(target(), names.map((name) => join(scratch, name))); // prettier-ignore
  beforeEach(() => {
    mkdirSync(join(scratch, "mnt/store"), { recursive: true });
    mkdirSync(join(scratch, "mnt2"));
    symlinkSync(join(scratch, "mnt/store"), join(scratch, "link"));
  });

  test("as a whole", () => {
    for (const path of ["mnt", "mnt/store", "mnt/log/that/is/not/there", "link", "link/objects"]) {
      const refused = new RegExp(`would hide ${join(scratch, path)}, which the mount needs`);
      expect(hides("mnt2", path), path).toThrow(refused);
    }
    for (const path of ["mnt2", "mnt2/log", "mnt.log"]) hides(path)();
    expect(() => checkHidesNothing("/", [scratch])).toThrow(UsageError);
  });

  test("in part", () => {
    const place = join(scratch, "mnt/store/objects/ab");
    for (const path of ["mnt/store", "mnt/store/objects", "link"]) {
      const whole = [join(scratch, "mnt2"), join(scratch, path)];
      const check = () => checkHidesNothing(place, [], whole);
      expect(check, path).toThrow(UsageError);
      expect(check, path).toThrow(`would hide part of ${join(scratch, path)}, which the mount needs`); // prettier-ignore
    }
    expect(() => checkHidesNothing(place, [], [join(scratch, "mnt/store/obj")])).not.toThrow();
    // Beside what is needed there is room.
    expect(() => checkHidesNothing(place, [join(scratch, "mnt/store")])).not.toThrow();
  });
});

test("the list of mounts is read with its escapes, and the topmost mount counts", () => {
  const text =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n" +
    "40 22 0:39 / /mnt/a\\040b\\134c rw,nosuid shared:5 master:2 - fuse.sealfs sealfs:x\\011y ro,user_id=0\n";
  const [root, mount] = parseMountinfo(text) as [MountInfo, MountInfo];
  expect(root).toEqual({ id: 22, device: "8:1", target: "/", type: "ext4", source: "/dev/sda1" });
  expect(mount).toMatchObject({
    device: "0:39",
    target: "/mnt/a b\\c",
    type: "fuse.sealfs",
    source: "sealfs:x\ty",
  });
  expect([isSealfs(root), isSealfs(mount)]).toEqual([false, true]);
  expect(mountAt("/proc")?.type).toBe("proc");
  expect(mountAt("/proc/self")).toBeUndefined();
});

describe("the log", () => {
  const image = Image.open(goldenImage("mini-rootfs.v1").bytes);
  const etc = image.lookup(image.root, ascii("etc"))!.nid;
  const start = () => {
    const lines: string[] = [];
    const clock = { now: 0 };
    const log = new ProblemLog({ get: () => image }, (line) => lines.push(line), () => clock.now); // prettier-ignore
    return { lines, clock, log };
  };

  test("names the path, the operation and the reason, once a minute", () => {
    const { lines, clock, log } = start();
    const problem = { operation: "READ", nodeid: etc, message: "object ab: block 3 is bad" };
    for (let i = 0; i < 1000; i++) log.add({ ...problem, operation: i === 0 ? "READ" : "OPEN" });
    expect(lines).toEqual(["/etc: READ: object ab: block 3 is bad"]);
    clock.now = 60_000;
    log.add(problem);
    expect(lines.length).toBe(2);
  });

  test("stays short whatever happens, and says how much it left out", () => {
    const { lines, clock, log } = start();
    for (let i = 0; i < 100_000; i++) {
      log.add({ operation: "OPEN", nodeid: 1, message: `object ${i}` });
    }
    expect(lines.length).toBe(200);
    clock.now = 60_000;
    log.add({ operation: "OPEN", nodeid: 1, message: "again" });
    expect(lines.slice(200)).toEqual(["99800 more problems, not shown", "/: OPEN: again"]);
  });
});

test("a memory file has the bytes and takes no others", () => {
  const { fd, sealed } = anonymousFile(Buffer.from("image"));
  expect(readFileSync(`/proc/self/fd/${fd}`, "utf8")).toBe("image");
  if (sealed) {
    const write = () => writeFileSync(`/proc/self/fd/${fd}`, "other");
    expect(write).toThrow(/EPERM|EACCES|ETXTBSY/);
    expect(statSync(`/proc/self/fd/${fd}`).size).toBe(5);
  }
});

test("a thread's code is the compiled one", () => {
  const from = workerUrl("file:///p/src/fuse/device.ts", "./worker.ts");
  expect(from.href).toBe("file:///p/dist/fuse/worker.js");
  const compiled = workerUrl("file:///p/dist/fuse/device.js", "./worker.ts");
  expect(compiled.href).toBe("file:///p/dist/fuse/worker.js");
  const within = workerUrl("file:///src/p/src/fuse/device.ts", "../oci/x.ts");
  expect(within.href).toBe("file:///src/p/dist/oci/x.js");
});

test("mounts and unmounts without koffi", (context) => {
  const reason = noMount();
  context.skip(reason !== undefined, reason);
  // The project as it is where optional packages could not be installed.
  const project = new URL("../../..", import.meta.url).pathname;
  for (const part of ["dist", "bin"]) {
    cpSync(join(project, part), join(scratch, part), { recursive: true });
  }
  copyFileSync(join(project, "package.json"), join(scratch, "package.json"));
  mkdirSync(join(scratch, "node_modules"));
  for (const name of readdirSync(join(project, "node_modules"))) {
    if (["koffi", "@koromix", "fuse-native"].includes(name)) continue;
    symlinkSync(join(project, "node_modules", name), join(scratch, "node_modules", name));
  }
  const bed = new MountBed();
  try {
    const root = newDirectory();
    root.entries.set(ascii("large"), bed.file(Buffer.alloc(100_000, "large ")));
    bed.addTree("app:1", root);
    const mnt = bed.directory();
    const [, ...args] = bed.args("app:1", mnt);
    const bin = join(scratch, "bin/sealfs.js");
    const mounted = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8" });
    expect(mounted.stderr).toContain("(fuse over dev, block)");
    expect(readFileSync(join(mnt, "large"), "utf8").length).toBe(100_000);
    expect(spawnSync(process.execPath, [bin, "umount", mnt]).status).toBe(0);
    expect(isMounted(mnt)).toBe(false);
  } finally {
    bed.close();
  }
});
