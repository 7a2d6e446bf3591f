/**
 * What a mounted image shows, to be compared with what Linux shows through overlayfs.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  type BigIntStats,
  constants,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { getSystemErrorName } from "node:util";
import { expect } from "vitest";
import { type ByteString, toByteString, toBytes } from "../../src/bytes/bytestring.ts";
import { readXattrs } from "../../src/sys/xattr.ts";
import type { KernelEntry } from "./golden-images.ts";

const { S_IFMT, S_IFLNK, S_IFREG } = constants;
/** A path with one character per byte, for Node. */
export const bytes = (path: string) => Buffer.from(toBytes(path as ByteString));

/** Every path below `root`, which is "/", with what lstat says. */
export function* walk(root: string, path = ""): Generator<[path: string, stat: BigIntStats]> {
  const stat = lstatSync(bytes(root + path), { bigint: true });
  yield [path === "" ? "/" : path, stat];
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(bytes(root + path), { encoding: "buffer" })) {
    yield* walk(root, `${path}/${toByteString(name)}`);
  }
}

/** The name of the error that `work` ends with. */
export function errnoOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** One path as {@link KernelEntry} describes it. */
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

/** What {@link describePath} should give. */
export function expected(kernel: KernelEntry): Record<string, unknown> {
  const { data_errno: _, xattr_errno: __, ...rest } = kernel;
  const size = kernel.size === undefined ? {} : { size: String(kernel.size) };
  return { ...rest, ...size, mtime_ns: String(kernel.mtime_ns) };
}

/** Golden images with something to show. */
export const shownGolden = [
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

/**
 * Compares all of a mount with what the kernel showed when the golden images were made; files whose
 * object is missing give EIO, or what the kernel gave (`asKernel`).
 */
export function expectView(
  root: string,
  view: readonly KernelEntry[],
  options: { asKernel?: boolean } = {},
): void {
  const kernel = new Map(view.map((entry) => [entry.p, entry]));
  for (const [path, stat] of walk(root)) {
    const shown = kernel.get(path);
    kernel.delete(path);
    if (shown === undefined) throw new Error(`the kernel does not show ${path}`);
    expect(describePath(root, path, stat, shown)).toEqual(expected(shown));
    if (shown.data_errno !== undefined) {
      const errno = options.asKernel === true ? getSystemErrorName(-shown.data_errno) : "EIO";
      expect(errnoOf(() => readFileSync(bytes(root + path)))).toBe(errno);
    }
  }
  expect([...kernel.keys()]).toEqual([]);
}
