/** The reader against golden images: what the kernel shows of each, mounted through overlayfs. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ascii, toByteString } from "../../../src/bytes/bytestring.ts";
import type { ByteString } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import type { ImageInode } from "../../../src/erofs/image.ts";
import { metacopyDigest } from "../../../src/erofs/overlay-xattrs.ts";
import { ImageView } from "../../../src/erofs/view.ts";
import { FormatError } from "../../../src/errors.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../src/tree/inode.ts";
import { type KernelEntry, goldenImage, goldenImages } from "../../support/golden-images.ts";

const golden = goldenImages();

const childPath = (parent: string, name: ByteString) => (parent === "/" ? "" : parent) + "/" + name;

/** Every path of the view with its inode, as deep as the kernel's listing went. */
function* walk(view: ImageView): Generator<[path: string, inode: ImageInode]> {
  const queue: [string, ImageInode, number][] = [["/", view.root, 0]];
  for (const [path, inode, depth] of queue) {
    yield [path, inode];
    if ((inode.mode & S_IFMT) !== S_IFDIR || depth > 600) continue;
    for (const { name } of view.entries(inode)) {
      if (name === "." || name === "..") continue;
      const child = view.lookup(inode, name);
      if (child === undefined) throw new Error(`${childPath(path, name)} is listed but not found`);
      queue.push([childPath(path, name), child, depth + 1]);
    }
  }
}

// The kernel has no user 2^32 - 1 and shows the overflow id instead.
const shownId = (id: number) => (id === 0xffffffff ? 65534 : id);

/** What the kernel would say of an inode, without what the kernel failed to say. */
function describeInode(view: ImageView, path: string, inode: ImageInode, kernel: KernelEntry) {
  const type = inode.mode & S_IFMT;
  const nanoseconds = inode.mtimeSeconds * 1_000_000_000n + BigInt(inode.mtimeNanoseconds);
  const entry: Record<string, unknown> = {
    p: path,
    mode: inode.mode.toString(8),
    nlink: inode.nlink,
    uid: shownId(inode.uid),
    gid: shownId(inode.gid),
    rdev: inode.rdev,
    mtime_ns: String(nanoseconds),
  };
  if (type === S_IFREG) entry["size"] = String(inode.size);
  if (type === S_IFLNK) entry["target"] = view.image.target(inode);
  if (kernel.xattr_errno === undefined) {
    entry["xattrs"] = Object.fromEntries(view.image.xattrs(inode));
  }
  const content = view.image.content(inode);
  if (kernel.data_sha256 !== undefined && content.kind === "inline") {
    entry["data_sha256"] = createHash("sha256").update(content.bytes).digest("hex");
  }
  return entry;
}

function expected(kernel: KernelEntry): Record<string, unknown> {
  const { data_errno: _, xattr_errno: __, ...rest } = kernel;
  const size = kernel.size === undefined ? {} : { size: String(kernel.size) };
  return { ...rest, ...size, mtime_ns: String(kernel.mtime_ns) };
}

test.each(golden)("shows what the kernel shows of $name", ({ name, bytes, view: kernelView }) => {
  const view = new ImageView(Image.open(bytes));
  const kernel = new Map(kernelView.map((entry) => [entry.p, entry]));
  for (const [path, inode] of walk(view)) {
    const entry = kernel.get(path);
    kernel.delete(path);
    if (name.startsWith("hardlink-to-root.") && path.startsWith("/l")) continue; // a loop
    if (entry === undefined) throw new Error(`the kernel does not show ${path}`);
    if (entry.lstat_errno !== undefined) {
      // overlayfs refuses a file whose reference it cannot follow.
      expect(view.image.content(inode).kind, path).toBe("unverifiable");
      continue;
    }
    expect(describeInode(view, path, inode, entry)).toEqual(expected(entry));
    if (entry.data_errno !== undefined) expect(view.image.content(inode).kind).not.toBe("inline");
  }
  expect([...kernel.keys()]).toEqual([]);
});

describe("lookup", () => {
  const image = Image.open(goldenImage("dir-5000.v1").bytes);
  const directory = (() => {
    for (const { name, nid, fileType } of image.entries(image.root)) {
      if (fileType === 2 && !name.startsWith(".")) return image.inode(nid);
    }
    throw new Error("no directory");
  })();

  test("finds every name of a directory with many blocks, and no other", () => {
    const entries = [...image.entries(directory)];
    expect(entries.length).toBeGreaterThan(5000);
    const names = new Set<string>(entries.map(({ name }) => name));
    const wrong: string[] = [];
    for (const { name, nid } of entries) {
      if (image.lookup(directory, name)?.nid !== nid) wrong.push(name);
      for (const near of [`${name}\0`, `${name}!`, name.slice(0, -1), `${name}\xff`]) {
        const found = image.lookup(directory, near as ByteString) !== undefined;
        if (found !== names.has(near)) wrong.push(near);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("a listing resumes at any index", () => {
    const all = [...image.entries(directory)];
    expect(all.map(({ index }) => index)).toEqual([...all.keys()]);
    for (const from of [0, 1, 2, 255, 256, 257, 4999, all.length - 1, all.length, all.length + 1]) {
      expect([...image.entries(directory, from)]).toEqual(all.slice(from));
    }
  });
});

test("each file that is not an image is refused with its own code", () => {
  const image = goldenImage("mini-rootfs.v1").bytes;
  const patched = (offset: number, value: number) => {
    const copy = Uint8Array.from(image);
    copy[offset] = value;
    return copy;
  };
  const codeOf = (bytes: Uint8Array) => {
    try {
      Image.open(bytes);
      return "none";
    } catch (error) {
      return error instanceof FormatError ? error.code : error;
    }
  };
  expect(codeOf(image)).toBe("none");
  expect(codeOf(new Uint8Array(0))).toBe("TRUNCATED");
  expect(codeOf(image.subarray(0, 1151))).toBe("TRUNCATED");
  expect(codeOf(patched(0, 0))).toBe("BAD_MAGIC");
  expect(codeOf(patched(4, 2))).toBe("UNSUPPORTED");
  expect(codeOf(patched(12, 2))).toBe("UNSUPPORTED");
  expect(codeOf(patched(1024, 0))).toBe("BAD_MAGIC");
  expect(codeOf(patched(1024 + 12, 13))).toBe("UNSUPPORTED");
  expect(codeOf(patched(1024 + 80, 4))).toBe("UNSUPPORTED");
});

test("asking the wrong thing for an inode, a name or a target is a FormatError", () => {
  const image = Image.open(goldenImage("mini-rootfs.v1").bytes);
  for (const nid of [-1, 0, 35, 1e6, 2 ** 53, 2 ** 64, NaN]) {
    expect(() => image.inode(nid), String(nid)).toThrow(FormatError);
  }
  expect(() => image.target(image.root)).toThrow(FormatError);
  const stub = image.inode(image.lookup(image.root, ascii("00"))!.nid);
  expect(() => image.lookup(stub, ascii("x"))).toThrow(FormatError);
  expect(image.content(image.root)).toEqual({ kind: "unverifiable", reason: "not a regular file" });
});

describe("content", () => {
  const contentOf = (name: string, path = "f") => {
    const image = Image.open(goldenImage(name).bytes);
    return image.content(image.inode(image.lookup(image.root, ascii(path))!.nid));
  };
  const digest = "84ea6f6e20fe9a5cc90d0c9f5ba128ad91544bda6071caf9c79ce48018b6ea13";

  test("of an external file is the digest that the metacopy attribute carries", () => {
    expect(contentOf("ext-basic.v1")).toEqual({ kind: "object", digest, size: 12345 });
  });

  test("is unverifiable without digest, without redirect, or when the two disagree", () => {
    const reason = (name: string) => {
      const content = contentOf(name);
      return content.kind === "unverifiable" ? content.reason : content.kind;
    };
    expect(reason("ext-no-digest.v1")).toBe("the reference carries no digest");
    expect(reason("ext-no-payload.v1")).toBe("redirect and digest disagree");
    expect(reason("ext-payload-slash.v1")).toBe("redirect and digest disagree");
    expect(reason("ext-size-wrap.v1")).toMatch(/redirect and digest|out of range/);
  });

  test("the redirect is never a path: changing one digit of it makes the file unverifiable", () => {
    const bytes = Uint8Array.from(goldenImage("ext-basic.v1").bytes);
    const at = Buffer.from(bytes).indexOf("/84/ea6f6e");
    bytes[at + 1] = 0x33;
    const image = Image.open(bytes);
    expect(image.content(image.inode(image.lookup(image.root, ascii("f"))!.nid)).kind).toBe(
      "unverifiable",
    );
  });

  test("of a sha512 object is named by 128 digits", () => {
    const hex = "ab".repeat(64);
    const value = toByteString(Buffer.from(`00440002${hex}`, "hex"));
    expect(metacopyDigest(value)).toBe(hex);
    expect(metacopyDigest(value.slice(0, 67) as ByteString)).toBe(undefined);
    expect(metacopyDigest(toByteString(Buffer.from(`00240002${hex.slice(64)}`, "hex")))).toBe(
      undefined,
    );
  });
});
