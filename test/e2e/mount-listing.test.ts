/** Mounted golden images: what a user of the mount sees is what Linux shows through overlayfs. */
import { createHash } from "node:crypto";
import {
  type BigIntStats,
  constants,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ByteString, toByteString, toBytes } from "../../src/bytes/bytestring.ts";
import { readKeyring } from "../../src/image/key-files.ts";
import { verifyImageFile } from "../../src/image/verify.ts";
import { mountImage } from "../../src/mount/mount.ts";
import { unmountImage } from "../../src/mount/unmount.ts";
import { readXattrs } from "../../src/sys/xattr.ts";
import { type KernelEntry, goldenImage } from "../support/golden-images.ts";
import { MountBed, noLibfuse, noMount } from "../support/mount-bed.ts";

const { S_IFMT, S_IFLNK, S_IFREG } = constants;
const bytes = (path: string) => Buffer.from(toBytes(path as ByteString));

function* walk(root: string, path = ""): Generator<[path: string, stat: BigIntStats]> {
  const stat = lstatSync(bytes(root + path), { bigint: true });
  yield [path === "" ? "/" : path, stat];
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(bytes(root + path), { encoding: "buffer" })) {
    yield* walk(root, `${path}/${toByteString(name)}`);
  }
}

function errnoOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

function describePath(root: string, path: string, stat: BigIntStats, kernel: KernelEntry) {
  const full = root + path;
  const type = Number(stat.mode) & S_IFMT;
  const out: Record<string, unknown> = {
    p: path,
    mode: stat.mode.toString(8),
    nlink: Number(stat.nlink),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    rdev: Number(stat.rdev),
    mtime_ns: String(stat.mtimeNs),
  };
  if (type === S_IFREG) out["size"] = String(stat.size);
  if (type === S_IFLNK) {
    out["target"] = toByteString(readlinkSync(bytes(full), { encoding: "buffer" }));
  }
  if (kernel.xattr_errno === undefined) {
    out["xattrs"] = Object.fromEntries(readXattrs(full as ByteString));
  }
  if (kernel.data_sha256 !== undefined) {
    out["data_sha256"] = createHash("sha256")
      .update(readFileSync(bytes(full)))
      .digest("hex");
  }
  return out;
}

function expected(kernel: KernelEntry): Record<string, unknown> {
  const { data_errno: _, xattr_errno: __, ...rest } = kernel;
  const size = kernel.size === undefined ? {} : { size: String(kernel.size) };
  return { ...rest, ...size, mtime_ns: String(kernel.mtime_ns) };
}

const golden = [
  "all-extended",
  "acl-access",
  "acl-default",
  "acl-root",
  "devices",
  "dir-5000",
  "escape-overlay-ext",
  "ext-size-2p40",
  "fifo-sock",
  "hardlink-100",
  "ids-many",
  "inline-5000",
  "inline-all-bytes",
  "modes",
  "mtime-negative",
  "mtime-nsec",
  "names-nonutf8",
  "names-special",
  "nested-dirs",
  "rdev-64",
  "root-attrs",
  "security-caps",
  "symlink-4095",
  "symlink-bytes",
  "symlink-xattr",
  "whiteout-many",
  "xattr-binary",
  "xattr-many",
  "xattr-value-sizes",
];

// What these are about, fuse-native cannot show (see src/fuse/libfuse.ts).
const beyondLibfuse = ["names-", "symlink-bytes", "mtime-", "ids-many", "xattr-binary"];
beyondLibfuse.push("xattr-value-sizes", "ext-size-2p40", "all-extended", "root-attrs");

describe.each([
  { transport: "dev" as const, reason: noMount() },
  { transport: "libfuse" as const, reason: noLibfuse() },
])("over $transport", ({ transport, reason }) => {
  beforeEach((context) => context.skip(reason !== undefined, reason));
  let bed: MountBed;
  beforeAll(() => {
    if (reason === undefined) bed = new MountBed();
  });
  afterAll(() => bed?.close());

  const mounted = async (name: string, image: Uint8Array, use: (directory: string) => void) => {
    const id = bed.add(name, image);
    const verified = verifyImageFile({
      bytes: image,
      bundles: bed.store.readBundles(id as never).map((bundle) => bundle.bytes),
      keyring: readKeyring([bed.keyFile], []),
      name,
      now: new Date(),
    });
    const stores = [bed.store.path];
    const options = { stores, transport, log: bed.log };
    const { target } = await mountImage(verified, bed.directory(), options);
    try {
      use(target);
    } finally {
      await unmountImage(target);
    }
  };

  const names = golden.filter(
    (name) => transport === "dev" || !beyondLibfuse.some((start) => name.startsWith(start)),
  );
  test.each(names)("shows what the kernel shows of %s", async (name) => {
    const { bytes: image, view } = goldenImage(`${name}.v1`);
    await mounted(name, image, (root) => {
      const kernel = new Map(view.map((entry) => [entry.p, entry]));
      for (const [path, stat] of walk(root)) {
        const shown = kernel.get(path);
        kernel.delete(path);
        if (shown === undefined) throw new Error(`the kernel does not show ${path}`);
        expect(describePath(root, path, stat, shown)).toEqual(expected(shown));
        if (shown.data_errno !== undefined) {
          expect(errnoOf(() => readFileSync(bytes(root + path)))).toBe("EIO");
        }
      }
      expect([...kernel.keys()]).toEqual([]);
    });
  });

  test("all names of a hard-linked file are one inode", async () => {
    await mounted("links", goldenImage("hardlink-100.v1").bytes, (root) => {
      const inodes = [...walk(root)]
        .filter(([, stat]) => stat.isFile())
        .map(([, stat]) => stat.ino);
      expect(inodes.length).toBeGreaterThan(100);
      expect(new Set(inodes).size).toBeLessThan(inodes.length - 98);
      expect(Number(inodes[0])).toBeGreaterThan(1);
    });
  });
});
