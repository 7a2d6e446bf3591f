/** The FUSE server against golden images: what Linux shows of each, mounted through overlayfs. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { ByteString } from "../../../src/bytes/bytestring.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../src/tree/inode.ts";
import { type Entry, Errno, FuseClient, ROOT } from "../../support/fuse-client.ts";
import { type KernelEntry, goldenImage, goldenImages } from "../../support/golden-images.ts";

/** Every path with its entry, found as the kernel would: listed, then looked up. */
function* walk(client: FuseClient, plus: boolean): Generator<[path: string, entry: Entry]> {
  const root: Entry = { nodeid: ROOT, attributes: client.getattr(ROOT) };
  const queue: [string, Entry, number][] = [["/", root, 0]];
  for (const [path, entry, depth] of queue) {
    yield [path, entry];
    if ((entry.attributes.mode & S_IFMT) !== S_IFDIR || depth > 600) continue;
    for (const { name, ino, type, entry: listed } of client.list(entry.nodeid, 4096, plus)) {
      if (name === "." || name === "..") {
        expect(listed?.nodeid ?? 0).toBe(0);
        continue;
      }
      const child = client.lookup(entry.nodeid, name);
      if (listed !== undefined) expect(listed).toEqual(child);
      expect(ino).toBe(Number(child.attributes.ino));
      expect(type).toBe(child.attributes.mode >> 12);
      queue.push([(path === "/" ? "" : path) + "/" + name, child, depth + 1]);
    }
  }
}

// The kernel has no user 2^32 - 1 and shows the overflow id instead.
const shownId = (id: number) => (id === 0xffffffff ? 65534 : id);

function describeEntry(
  client: FuseClient,
  path: string,
  entry: Entry,
  kernel: KernelEntry,
): Record<string, unknown> {
  const { nodeid, attributes } = entry;
  const { mode, nlink, uid, gid, rdev, size, mtime, mtimensec } = attributes;
  expect(client.getattr(nodeid)).toEqual(attributes);
  const out: Record<string, unknown> = {
    p: path,
    mode: mode.toString(8),
    nlink,
    uid: shownId(uid),
    gid: shownId(gid),
    rdev,
    mtime_ns: String(BigInt.asIntN(64, mtime) * 1_000_000_000n + BigInt(mtimensec)),
  };
  const type = mode & S_IFMT;
  if (type === S_IFREG) out["size"] = String(size);
  if (type === S_IFLNK) out["target"] = client.readlink(nodeid);
  if (kernel.xattr_errno === undefined) {
    out["xattrs"] = Object.fromEntries(client.xattrs(nodeid));
  }
  if (kernel.data_sha256 !== undefined) {
    out["data_sha256"] = createHash("sha256").update(client.readAll(nodeid)).digest("hex");
  }
  return out;
}

function expected(kernel: KernelEntry): Record<string, unknown> {
  const { data_errno: _, xattr_errno: __, ...rest } = kernel;
  const size = kernel.size === undefined ? {} : { size: String(kernel.size) };
  return { ...rest, ...size, mtime_ns: String(kernel.mtime_ns) };
}

test.each(goldenImages())("shows what the kernel shows of $name", ({ name, bytes, view }) => {
  const kernel = new Map(view.map((entry) => [entry.p, entry]));
  const client = new FuseClient(bytes);
  for (const [path, entry] of walk(client, name.endsWith("1"))) {
    const shown = kernel.get(path);
    kernel.delete(path);
    if (name.startsWith("hardlink-to-root.") && path.startsWith("/l")) continue; // a loop
    if (shown === undefined) throw new Error(`the kernel does not show ${path}`);
    if (shown.lstat_errno === undefined) {
      expect(describeEntry(client, path, entry, shown)).toEqual(expected(shown));
    }
    // What overlayfs does not show, and objects that are not there, are errors here.
    if (shown.lstat_errno !== undefined || shown.data_errno !== undefined) {
      expect(() => client.read(entry.nodeid, 0, 4096)).toThrow(new Errno(5));
    }
  }
  expect([...kernel.keys()]).toEqual([]);
});

test("hard links are one node, and stay it", () => {
  const client = new FuseClient(goldenImage("hardlink-100.v1").bytes);
  const nodes = new Map<number, number>();
  const visit = (nodeid: number) => {
    for (const { name, entry } of client.list(nodeid, 4096, true)) {
      if (name === "." || name === ".." || entry === undefined) continue;
      nodes.set(entry.nodeid, (nodes.get(entry.nodeid) ?? 0) + 1);
      if ((entry.attributes.mode & S_IFMT) === S_IFDIR) visit(entry.nodeid);
    }
  };
  visit(ROOT);
  expect(Math.max(...nodes.values())).toBeGreaterThanOrEqual(100);
});

test("a listing resumes anywhere, with answers of any size", () => {
  const client = new FuseClient(goldenImage("dir-5000.v1").bytes);
  const directory = client
    .list(ROOT)
    .find(({ type, name }) => type === 4 && !name.startsWith("."))!.ino;
  const all = client.list(directory, 128 * 1024);
  expect(all.length).toBeGreaterThan(5000);
  expect(new Set(all.map(({ position }) => position)).size).toBe(all.length);
  for (const size of [300, 4096, 5000, 65536]) {
    expect(client.list(directory, size)).toEqual(all);
    const plus = client.list(directory, size, true);
    expect(plus.map((listed) => ({ ...listed, entry: undefined }))).toEqual(all);
  }
  for (const index of [0, 1, 255, 256, 257, 2500, all.length - 2]) {
    const rest = client.readdir(directory, all[index]!.position, 128 * 1024);
    expect(rest).toEqual(all.slice(index + 1).slice(0, rest.length));
    expect(rest.length).toBeGreaterThan(0);
  }
  expect(client.readdir(directory, all.at(-1)!.position)).toEqual([]);
  expect(client.readdir(directory, 2 ** 31 - 1)).toEqual([]);
});

test("finds every name of a large directory, and no other", () => {
  const client = new FuseClient(goldenImage("dir-5000.v0").bytes);
  const directory = client
    .list(ROOT)
    .find(({ type, name }) => type === 4 && !name.startsWith("."))!.ino;
  const all = client.list(directory).filter(({ name }) => name !== "." && name !== "..");
  const names = new Set<string>(all.map(({ name }) => name));
  const has = (name: string) => {
    try {
      client.lookup(directory, name as ByteString);
      return true;
    } catch (error) {
      expect(error).toEqual(new Errno(2));
      return false;
    }
  };
  const wrong: string[] = [];
  for (const { name, ino } of all) {
    if (client.lookup(directory, name).nodeid !== ino) wrong.push(name);
    for (const near of [`${name}!`, name.slice(0, -1), `${name}\xff`]) {
      if (has(near) !== names.has(near)) wrong.push(near);
    }
  }
  expect(wrong).toEqual([]);
});
