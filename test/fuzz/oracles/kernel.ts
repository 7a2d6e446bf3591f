/** The kernel's EROFS: mounts every image that the checker takes, and shows the same files. @module */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readData } from "../../../src/erofs/data-reader.ts";
import { LAYOUT_CHUNK_BASED } from "../../../src/erofs/format.ts";
import type { Image, ImageInode } from "../../../src/erofs/image.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../src/tree/inode.ts";
import { noKernelStack } from "../../support/kernel.ts";
import { hasProgram } from "../../support/run.ts";
import { same } from "../invariant.ts";
import { Child } from "./child.ts";
import { type ImageOf, type Oracle, oracleFolder } from "./oracle.ts";

/** Of larger files only the size is compared. */
const MOST_BYTES = 1 << 16;

const child = new Child("tree-reader.py");

/** `every`: one in that many inputs is compared; and the image that an input is or makes. */
export const kernel = (every: number, imageOf: ImageOf): Oracle => ({
  name: "the kernel's EROFS",
  every,
  missing() {
    return noKernelStack() ?? (hasProgram("python3") ? undefined : "python3 is not installed");
  },
  async check(data) {
    const image = imageOf(data);
    if (image === undefined) return false;
    const [file, folder] = [join(oracleFolder(), "mounted"), join(oracleFolder(), "mount")];
    writeFileSync(file, image.bytes);
    mkdirSync(folder, { recursive: true });
    const mount = spawnSync("mount", ["-t", "erofs", "-o", "ro,loop", file, folder]);
    same(0, mount.status, "status of mount");
    try {
      const theirs = await child.ask(Buffer.from(folder));
      same(filesOf(image), theirs, "files, and those that the kernel shows");
    } finally {
      spawnSync("umount", [folder]);
    }
    return true;
  },
});

function filesOf(image: Image): Record<string, unknown> {
  const files: Record<string, unknown> = {};
  const queue: [string, ImageInode][] = [["", image.root]];
  for (const [path, inode] of queue) {
    files[path] = described(image, inode);
    if ((inode.mode & S_IFMT) !== S_IFDIR) continue;
    for (const { name, nid } of image.entries(inode)) {
      if (name !== "." && name !== "..") queue.push([`${path}/${name}`, image.inode(nid)]);
    }
  }
  return files;
}

function described(image: Image, inode: ImageInode): unknown {
  const type = inode.mode & S_IFMT;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  const { rdev } = inode;
  // Linux lists those of other files, and lets nobody read them (xattr(7)).
  const hasUserXattrs = type === S_IFREG || type === S_IFDIR;
  let data: string | undefined;
  if (type === S_IFLNK) data = image.target(inode);
  else if (type === S_IFREG && inode.size <= MOST_BYTES) {
    const isExternal = inode.layout === LAYOUT_CHUNK_BASED;
    data = isExternal
      ? "\0".repeat(Number(inode.size))
      : Buffer.from(readData(image.bytes, inode)).toString("latin1");
  }
  return {
    nid: inode.nid,
    mode: inode.mode,
    nlink: inode.nlink,
    owner: [inode.uid, inode.gid],
    size: Number(inode.size),
    time: [String(inode.mtimeSeconds), inode.mtimeNanoseconds],
    device: isDevice ? [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)] : [0, 0],
    xattrs: [...image.storedXattrs(inode)]
      .map(([key, value]) => [key, hasUserXattrs || !key.startsWith("user.") ? value : "ENODATA"])
      .toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
    ...(data === undefined ? {} : { data }),
  };
}
