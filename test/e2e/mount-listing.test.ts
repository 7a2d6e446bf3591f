/**
 * Mounted golden images, in every mode and over every transport: what a user of the mount sees is what
 * Linux shows through overlayfs. Mounts of ordinary users are in ordinary-user.test.ts.
 */
import { tmpdir } from "node:os";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readKeyring } from "../../src/keys/key-files.ts";
import { verifyImageFile } from "../../src/verify/verified-image.ts";
import type { Finding } from "../../src/mount/probe/finding.ts";
import { mountImage } from "../../src/mount/mount-image.ts";
import type { MountOptions } from "../../src/mount/mount-options.ts";
import { probe } from "../../src/mount/probe/probe.ts";
import { unmountImage } from "../../src/mount/unmount.ts";
import { goldenImage } from "../support/golden-images.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, noLibfuse, noMount } from "../support/mount-bed.ts";
import { expectView, shownGolden, walk } from "../support/mounted-view.ts";

// What these are about, fuse-native cannot show (see src/fuse/libfuse/libfuse-server.ts).
const beyondLibfuse = ["names-", "symlink-bytes", "mtime-", "ids-many", "xattr-binary"];
beyondLibfuse.push("xattr-value-sizes", "ext-size-2p40", "all-extended", "root-attrs");

const stack = noMount() ?? noKernelStack();
const passthrough = { passthrough: true, require: "open" } as const;
const noPassthrough = stack ?? reasonOf(probe(tmpdir()).passthrough);

interface Way {
  readonly way: string;
  readonly options: Partial<MountOptions>;
  readonly reason: string | undefined;
  /** Files whose object is missing give what the kernel gives for them. */
  readonly asKernel?: true;
  readonly cannotShow?: readonly string[];
}
const ways: readonly Way[] = [
  { way: "fuse over dev", options: { transport: "dev" }, reason: noMount() },
  { way: "fuse over fusermount", options: { transport: "fusermount" }, reason: noMount() },
  { way: "fuse over libfuse", options: { transport: "libfuse" }, reason: noLibfuse(), cannotShow: beyondLibfuse }, // prettier-ignore
  {
    way: "fuse with passthrough",
    options: { mode: "fuse", ...passthrough },
    reason: noPassthrough,
  },
  { way: "hybrid", options: { mode: "hybrid" }, reason: stack },
  { way: "hybrid with passthrough", options: { mode: "hybrid", ...passthrough }, reason: noPassthrough }, // prettier-ignore
  {
    way: "kernel",
    options: { mode: "kernel", require: "metadata" },
    reason: stack,
    asKernel: true,
  },
];

function reasonOf(finding: Finding): string | undefined {
  return finding.ok ? undefined : finding.reason;
}

describe.each(ways)("$way", ({ options: how, reason, asKernel, cannotShow = [] }) => {
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
    const options = { stores, ...how, log: bed.log };
    const { target } = await mountImage(verified, bed.directory(), options);
    try {
      use(target);
    } finally {
      await unmountImage(target);
    }
  };

  const names = shownGolden.filter((name) => !cannotShow.some((start) => name.startsWith(start)));
  test.each(names)("shows what the kernel shows of %s", async (name) => {
    const { bytes: image, view } = goldenImage(`${name}.v1`);
    await mounted(name, image, (root) => expectView(root, view, { asKernel: asKernel ?? false }));
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
