/**
 * The kernel stack on this machine's kernel: EROFS and overlay by themselves. What fs-verity adds is
 * tested where there is some (see kernel-verity.test.ts).
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { IntegrityError, SystemError } from "../../src/errors.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { sealedDevice, verityDevice } from "../../src/mount/kernel/image-device.ts";
import { type LayerStyle, layerStyles, mountErofs } from "../../src/mount/kernel/layers.ts";
import { type StackOptions, mountStack } from "../../src/mount/kernel/stack.ts";
import { attachMount } from "../../src/sys/fsmount.ts";
import { unmountTarget } from "../../src/sys/mount-calls.ts";
import { verityDigestOf } from "../../src/verity/index.ts";
import { goldenImage } from "../support/golden-images.ts";
import { loopsOf, noKernelStack } from "../support/kernel.ts";
import { MountBed, isMounted, newDirectory } from "../support/mount-bed.ts";
import { errnoOf, expectView, shownGolden } from "../support/mounted-view.ts";
import { until } from "../support/until.ts";

const reason = noKernelStack();
let bed: MountBed;
beforeEach((context) => context.skip(reason !== undefined, reason));
beforeAll(() => {
  if (reason === undefined) bed = new MountBed();
});
afterAll(() => bed?.close());

const kernelImage = (bytes: Uint8Array) => ({ bytes, digest: verityDigestOf(bytes) });

function mount(bytes: Uint8Array, options: Partial<StackOptions> = {}): string {
  const target = options.target ?? bed.directory();
  mountStack(kernelImage(bytes), {
    source: "sealfs:test",
    objects: [bed.store.objects.directory],
    requireVerity: false,
    ...options,
    target,
  });
  return target;
}

function treeImage(): Uint8Array {
  const root = newDirectory();
  root.entries.set(ascii("inline"), bed.file(Buffer.from("inline\n")));
  root.entries.set(ascii("object"), bed.file(Buffer.alloc(9000, "object ")));
  // Of this run alone: loop devices are found by their content.
  root.mtimeSeconds = BigInt(process.pid);
  return writeImage(root);
}

const loops = () => loopsOf(treeImage()).length;
const descriptors = () => readdirSync("/proc/self/fd").length;

describe.each(layerStyles)("with layers by %s", (style: LayerStyle) => {
  test.each(shownGolden)("shows what the kernel showed of %s", (name) => {
    const { bytes, view } = goldenImage(`${name}.v1`);
    const empty = bed.directory();
    const target = mount(bytes, { style, objects: [empty] });
    try {
      expectView(target, view, { asKernel: true });
    } finally {
      unmountTarget(target);
    }
  });

  test("leaves nothing behind when it is unmounted, again and again", async () => {
    const image = treeImage();
    const before = descriptors();
    const target = bed.directory();
    for (let i = 0; i < 20; i++) {
      mount(image, { style, target });
      expect(readFileSync(join(target, "object"))).toEqual(Buffer.alloc(9000, "object "));
      unmountTarget(target);
    }
    expect(isMounted(target)).toBe(false);
    await until(() => loops() === 0 && descriptors() === before);
  });
});

test("mounts read-only, without set-user-id programs and devices", () => {
  const target = mount(treeImage());
  try {
    const line = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((row) => row.includes(` ${target} `));
    expect(line).toMatch(/ ro,nosuid,nodev,/);
    expect(line).toMatch(/ - overlay sealfs:test ro,/);
    expect(errnoOf(() => writeFileSync(join(target, "new"), ""))).toBe("EROFS");
    expect(errnoOf(() => openSync(join(target, "object"), "r+"))).toBe("EROFS");
  } finally {
    unmountTarget(target);
  }
});

test("objects come from several stores, names with commas and colons and longer than 255 bytes", () => {
  const image = treeImage();
  const object = verityDigestOf(Buffer.alloc(9000, "object "));
  const odd = join(bed.path, `a,b:c\\d ${"x".repeat(200)}`, "y".repeat(100));
  mkdirSync(join(odd, object.slice(0, 2)), { recursive: true });
  writeFileSync(join(odd, object.slice(0, 2), object.slice(2)), Buffer.alloc(9000, "object "));
  for (const style of layerStyles) {
    for (const objects of [[odd], [bed.directory(), odd]]) {
      const target = mount(image, { objects, style });
      try {
        expect(readFileSync(join(target, "object")).length).toBe(9000);
      } finally {
        unmountTarget(target);
      }
    }
  }
});

test("every object is refused when fs-verity is required and there is none", (context) => {
  const target = mount(treeImage(), { requireVerity: true });
  try {
    if (hasVerity(bed.store.path)) context.skip("this file system has fs-verity");
    expect(errnoOf(() => readFileSync(join(target, "object")))).toBe("EIO");
    expect(readFileSync(join(target, "inline"), "utf8")).toBe("inline\n");
  } finally {
    unmountTarget(target);
  }
});

function hasVerity(directory: string): boolean {
  const path = join(directory, "tmp", "probe");
  writeFileSync(path, "x");
  const enabled = spawnSync("fsverity", ["enable", path]).status === 0;
  rmSync(path, { force: true });
  return enabled;
}

test("a writable overlay takes changes, and the image stays as it is", () => {
  const image = treeImage();
  const upper = bed.directory();
  const work = bed.directory();
  const target = mount(image, { writable: { upper, work } });
  try {
    writeFileSync(join(target, "new"), "new\n");
    writeFileSync(join(target, "object"), "changed\n");
    expect(readdirSync(target).toSorted()).toEqual(["inline", "new", "object"]);
    expect(readFileSync(join(upper, "object"), "utf8")).toBe("changed\n");
  } finally {
    unmountTarget(target);
  }
  const again = mount(image);
  try {
    expect(readFileSync(join(again, "object")).length).toBe(9000);
    expect(readdirSync(again)).not.toContain("new");
  } finally {
    unmountTarget(again);
  }
});

describe("the image that the kernel sees is the one that was verified", () => {
  test("its loop device and its memory cannot be written to", () => {
    const image = kernelImage(treeImage());
    const device = sealedDevice(image);
    try {
      const { rdev } = statSync(device.source);
      const path = `/dev/loop${rdev & 0xff}`;
      expect(readFileSync(path).subarray(0, image.bytes.length).equals(image.bytes)).toBe(true);
      const written = spawnSync("dd", ["if=/dev/zero", `of=${path}`, "count=1", "conv=notrunc"]);
      expect(written.stderr.toString()).toMatch(/not permitted|Read-only/);
      expect(errnoOf(() => writeSync(Number(basename(device.source)), "x"))).toBe("EBADF");
    } finally {
      device.close();
    }
  });

  test("bytes that change after their verification are refused", () => {
    const bytes = treeImage();
    const { digest } = kernelImage(bytes);
    bytes[bytes.length - 1]! ^= 1;
    expect(() => sealedDevice({ bytes, digest })).toThrow(IntegrityError);
    expect(loopsOf(bytes)).toEqual([]);
  });

  test("the stored file may be replaced before the mount and rewritten during it", () => {
    const bytes = treeImage();
    const { digest } = kernelImage(bytes);
    const path = bed.store.objects.path(digest);
    writeFileSync(path, bytes);
    const evil = Uint8Array.from(bytes);
    const at = Buffer.from(evil.buffer).indexOf("inline\n");
    evil.set(Buffer.from("EVIL!!\n"), at);
    writeFileSync(path, evil); // between verification and mount
    const target = mount(bytes, { images: [bed.store.objects] });
    try {
      expect(readFileSync(join(target, "inline"), "utf8")).toBe("inline\n");
      writeFileSync(path, Buffer.alloc(evil.length)); // and during the mount
      spawnSync("sh", ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"]);
      expect(readFileSync(join(target, "inline"), "utf8")).toBe("inline\n");
      expect(readdirSync(target).toSorted()).toEqual(["inline", "object"]);
    } finally {
      unmountTarget(target);
    }
    // This test can fail: a mount of the plain file does show what is written to it.
    writeFileSync(path, bytes);
    const plain = bed.directory();
    const fd = openSync(path, "r");
    const erofs = mountErofs(`/proc/self/fd/${fd}`);
    attachMount(erofs, plain);
    closeSync(erofs);
    try {
      writeFileSync(path, evil);
      spawnSync("sh", ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"]);
      expect(readFileSync(join(plain, "inline"), "utf8")).toBe("EVIL!!\n");
    } finally {
      unmountTarget(plain);
      closeSync(fd);
    }
  });

  test("a file without fs-verity is not mounted as one with", () => {
    const bytes = treeImage();
    const path = join(bed.path, "plain");
    writeFileSync(path, bytes);
    const before = descriptors();
    expect(() => verityDevice(openSync(path, "r"), kernelImage(bytes))).toThrow(SystemError);
    expect(descriptors()).toBe(before);
  });
});

test("a failure at any step leaves no mount, no loop device and no open file", async () => {
  const image = treeImage();
  const broken = Uint8Array.from(image);
  broken.fill(0, 1024, 1200); // the superblock
  const before = { fds: descriptors(), mounts: readMounts() };
  const nowhere = join(bed.path, "nowhere");
  const place = bed.directory();
  const file = join(bed.path, "file");
  writeFileSync(file, "");
  for (const failing of [
    () => mount(image, { objects: [nowhere] }),
    () => mount(image, { objects: [file] }),
    () => mount(image, { target: nowhere }),
    () => mount(image, { target: file }),
    () => mount(image, { writable: { upper: place, work: nowhere } }),
    () => mount(image, { writable: { upper: "/proc", work: "/proc" } }),
    () => mount(broken),
    () => mount(image, { objects: Array.from({ length: 600 }, () => place) }),
  ]) {
    expect(failing).toThrow(/\w/);
    await until(() => {
      const now = { fds: descriptors(), mounts: readMounts() };
      expect({ ...now, loops: loops() }).toEqual({ ...before, loops: 0 });
    });
  }
});

/** The mounts of this test. */
const readMounts = () =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(bed.path) || line.includes("sealfs-layer"))
    .join("\n");
