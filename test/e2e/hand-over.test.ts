/**
 * What is mounted is what was verified, in every mode, whatever happens to the files meanwhile: the image is
 * replaced and rewritten between its verification and the mount, and during the mount; the store's
 * directories are exchanged under a mount.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { readKeyring } from "../../src/keys/key-files.ts";
import { type VerifiedImage, verifyImageFile } from "../../src/verify/verified-image.ts";
import { mountImage } from "../../src/mount/mount-image.ts";
import type { MountOptions } from "../../src/mount/mount-options.ts";
import { probe } from "../../src/mount/probe/probe.ts";
import { unmountImage } from "../../src/mount/unmount.ts";
import { Store } from "../../src/store/store.ts";
import { HardLink, type Inode } from "../../src/tree/inode.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, newDirectory, noLibfuse, noMount } from "../support/mount-bed.ts";
import { errnoOf } from "../support/mounted-view.ts";

const stack = noMount() ?? noKernelStack();
const through = { passthrough: true, require: "open" } as const;
const ways: readonly { way: string; how: Partial<MountOptions>; lack: string | undefined }[] = [
  { way: "fuse over dev", how: { transport: "dev" }, lack: noMount() },
  { way: "fuse over fusermount", how: { transport: "fusermount" }, lack: noMount() },
  { way: "fuse over libfuse", how: { transport: "libfuse" }, lack: noLibfuse() },
  { way: "fuse with passthrough", how: { mode: "fuse", ...through }, lack: stack },
  { way: "hybrid", how: { mode: "hybrid" }, lack: stack },
  { way: "kernel", how: { mode: "kernel", require: "metadata" }, lack: stack },
];

const content = Buffer.alloc(9000, "object ");
const noPassthrough = (how: Partial<MountOptions>, path: string) => {
  const finding = how.passthrough === true ? probe(path).passthrough : { ok: true as const };
  return finding.ok ? undefined : finding.reason;
};

describe.each(ways)("$way", ({ how, lack }) => {
  let bed: MountBed;
  let bytes: Uint8Array;
  let object: Inode;
  let verified: VerifiedImage;
  beforeAll(() => {
    if (lack !== undefined) return;
    bed = new MountBed();
    const root = newDirectory();
    root.entries.set(ascii("inline"), bed.file(Buffer.from("inline\n")));
    object = bed.file(content);
    root.entries.set(ascii("object"), object);
    bytes = writeImage(root);
  });
  beforeEach((context) => {
    const missing = lack ?? noPassthrough(how, bed.path);
    context.skip(missing !== undefined, missing);
    const id = bed.add("app:1", bytes);
    verified = verifyImageFile({
      bytes: bed.store.readImage(id as never),
      bundles: bed.store.readBundles(id as never).map((bundle) => bundle.bytes),
      trust: readKeyring([bed.keyFile], []),
      name: "app:1",
      now: new Date(),
    });
  });
  afterAll(() => bed?.close());

  const mounted = async (
    use: (root: string) => void,
    stores = [bed.store.path],
    more: Partial<MountOptions> = {},
  ) => {
    const options = { stores, log: bed.log, ...how, ...more };
    const { target } = await mountImage(verified, bed.directory(), options);
    try {
      use(target);
    } finally {
      await unmountImage(target);
    }
  };
  const isRight = (root: string) => {
    expect(readdirSync(root).toSorted()).toEqual(["inline", "object"]);
    expect(readFileSync(join(root, "inline"), "utf8")).toBe("inline\n");
    expect(readFileSync(join(root, "object")).equals(content)).toBe(true);
  };
  /** The same length, other names and content. */
  const evil = () => {
    const copy = Buffer.from(bytes);
    for (const [from, to] of [
      ["inline\n", "EVIL!!\n"],
      ["object", "evil!!"],
    ] as const) {
      // prettier-ignore
      for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at);
    }
    return copy;
  };
  const dropCaches = () => spawnSync("sh", ["-c", "sync; echo 3 >/proc/sys/vm/drop_caches"]);

  test("an image that is rewritten or replaced before the mount, after its verification", async () => {
    const path = bed.store.objects.path(verified.digest);
    chmodSync(path, 0o644);
    writeFileSync(path, evil());
    await mounted(isRight);
    writeFileSync(`${path}.new`, evil());
    renameSync(`${path}.new`, path);
    await mounted(isRight);
    rmSync(path);
    await mounted(isRight);
  });

  test("an image that is rewritten, replaced and removed during the mount", async () => {
    const path = bed.store.objects.path(verified.digest);
    chmodSync(path, 0o644);
    await mounted((root) => {
      for (const attack of [
        () => writeFileSync(path, evil()),
        () => {
          writeFileSync(`${path}.new`, evil());
          renameSync(`${path}.new`, path);
        },
        () => rmSync(path),
      ]) {
        attack();
        dropCaches();
        isRight(root);
      }
    });
  });

  test("objects go on coming from the directory that was there when it was mounted", async () => {
    const objects = bed.store.objects.directory;
    const elsewhere = join(bed.path, "elsewhere");
    cpSync(objects, elsewhere, { recursive: true });
    writeFileSync(bed.objectOf(object).replace(objects, elsewhere), Buffer.alloc(9000, "evil "));
    try {
      await mounted((root) => {
        renameSync(objects, `${objects}.old`);
        symlinkSync(elsewhere, objects);
        dropCaches();
        isRight(root);
      });
    } finally {
      rmSync(objects);
      renameSync(`${objects}.old`, objects);
      rmSync(elsewhere, { recursive: true });
    }
  });

  test("no symlink in the place of a directory of objects is followed", async () => {
    const folder = join(bed.objectOf(object), "..");
    renameSync(folder, `${folder}.real`);
    symlinkSync(`${folder}.real`, folder);
    try {
      await mounted((root) => {
        expect(errnoOf(() => readFileSync(join(root, "object")))).toMatch(/^(EIO|ELOOP|ENOENT)$/);
        expect(readFileSync(join(root, "inline"), "utf8")).toBe("inline\n");
      });
    } finally {
      rmSync(folder);
      renameSync(`${folder}.real`, folder);
    }
  });

  test("stores are searched in order; one that has something wrong is passed over", async (context) => {
    const first = Store.create(join(bed.path, `first-${Math.random()}`));
    const order = [first.path, bed.store.path];
    await mounted(isRight, order); // the first has nothing
    const path = first.objects.path(object.digest!);
    writeFileSync(path, content);
    const kept = `${bed.objectOf(object)}.kept`;
    renameSync(bed.objectOf(object), kept);
    try {
      await mounted(isRight, order); // only the first has it
    } finally {
      renameSync(kept, bed.objectOf(object));
    }
    if (how.mode === "kernel") context.skip("the kernel takes the first that is there");
    writeFileSync(path, Buffer.alloc(9000, "wrong "));
    await mounted(isRight, order);
  });
});

describe.each(ways)("a directory of an image: $way", ({ how, lack }) => {
  let bed: MountBed;
  let verified: VerifiedImage;
  beforeAll(() => {
    if (lack !== undefined) return;
    bed = new MountBed();
    const root = newDirectory();
    const srv = newDirectory();
    const www = newDirectory();
    const page = bed.file(content);
    page.nlink = 2;
    www.entries.set(ascii("page"), page);
    root.entries.set(ascii("srv"), srv);
    srv.entries.set(ascii("www"), www);
    root.entries.set(ascii("again"), new HardLink(page));
    root.entries.set(ascii("large"), bed.file(Buffer.alloc(400_000, "large")));
    const id = bed.addTree("app:1", root);
    verified = verifyImageFile({
      bytes: bed.store.readImage(id as never),
      bundles: bed.store.readBundles(id as never).map((bundle) => bundle.bytes),
      trust: readKeyring([bed.keyFile], []),
      name: "app:1",
      now: new Date(),
    });
  });
  beforeEach((context) => {
    const missing = lack ?? noPassthrough(how, bed.path);
    context.skip(missing !== undefined, missing);
  });
  afterAll(() => bed?.close());

  test("is all that is mounted, and nothing leads out of it", async () => {
    const { path } = bed.store;
    const options = { stores: [path], log: bed.log, subdir: "/srv//www/", ...how };
    const { target } = await mountImage(verified, bed.directory(), options);
    try {
      expect(readdirSync(target)).toEqual(["page"]);
      expect(readFileSync(join(target, "page")).equals(content)).toBe(true);
      const outside = spawnSync("ls", ["-a", "..", "../.."], { cwd: target, encoding: "utf8" });
      expect(outside.stdout).not.toMatch(/large|again/);
      if (how.mode !== "kernel" && how.mode !== "hybrid") {
        // FUSE tells the size of what is shown: the image itself and one file.
        const df = spawnSync("df", ["-B1", "--output=used", target], { encoding: "utf8" }).stdout;
        expect(Number(df.split("\n")[1])).toBeLessThan(100_000);
        expect(Number(df.split("\n")[1])).toBeGreaterThan(9000);
      }
    } finally {
      await unmountImage(target);
    }
  });
});
