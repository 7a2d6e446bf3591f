/** Mounted golden images: what a user of the mount sees is what Linux shows through overlayfs. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readKeyring } from "../../src/image/key-files.ts";
import { verifyImageFile } from "../../src/image/verify.ts";
import { mountImage } from "../../src/mount/mount.ts";
import { unmountImage } from "../../src/mount/unmount.ts";
import { goldenImage } from "../support/golden-images.ts";
import { MountBed, noLibfuse, noMount } from "../support/mount-bed.ts";
import { expectView, shownGolden, walk } from "../support/mounted-view.ts";

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
      trust: readKeyring([bed.keyFile], []),
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

  const names = shownGolden.filter(
    (name) => transport === "dev" || !beyondLibfuse.some((start) => name.startsWith(start)),
  );
  test.each(names)("shows what the kernel shows of %s", async (name) => {
    const { bytes: image, view } = goldenImage(`${name}.v1`);
    await mounted(name, image, (root) => expectView(root, view));
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
