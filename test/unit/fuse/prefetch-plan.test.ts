/** What is read ahead, and in what order. */
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ByteString, ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { planPrefetch } from "../../../src/fuse/prefetch/prefetch-plan.ts";
import { parsePrefetch, readPrefetchList } from "../../../src/mount/server/prefetch-option.ts";
import { HardLink, Inode, S_IFLNK, S_IFREG, newDirectory } from "../../../src/tree/inode.ts";
import { objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { scratchFolder } from "../../support/scratch.ts";

function file(text: string): Inode {
  const content = Buffer.from(text.repeat(100));
  const inode = new Inode(S_IFREG | 0o644);
  inode.size = BigInt(content.length);
  inode.digest = verityDigestOf(content, "sha256");
  inode.payload = ascii(objectPath(inode.digest));
  return inode;
}

const root = newDirectory();
const directory = newDirectory();
const shared = file("shared ");
shared.nlink = 2;
directory.entries.set(ascii("a"), file("alpha "));
directory.entries.set(ascii("b"), shared);
root.entries.set(ascii("d"), directory);
root.entries.set(ascii("again"), new HardLink(shared));
root.entries.set(ascii("twin"), file("alpha "));
root.entries.set(ascii("z"), file("zeta "));
const link = new Inode(S_IFLNK | 0o777);
link.target = ascii("d");
root.entries.set(ascii("link"), link);
const small = new Inode(S_IFREG | 0o644);
small.content = Buffer.from("small");
small.size = 5n;
root.entries.set(ascii("small"), small);
const image = Image.open(writeImage(root));
const digest = (text: string) => verityDigestOf(Buffer.from(text.repeat(100)), "sha256");
const plan = (...list: string[]) => planPrefetch(image, list as ByteString[]);

describe("a prefetch", () => {
  test("of everything has each object once, with every inode that has it", () => {
    const { objects, absent } = planPrefetch(image);
    expect(absent).toEqual([]);
    expect(new Set(objects.map((object) => object.digest))).toEqual(
      new Set([digest("alpha "), digest("shared "), digest("zeta ")]),
    );
    const inodes = (text: string) =>
      objects.find((object) => object.digest === digest(text))?.nids.length;
    expect([inodes("alpha "), inodes("shared "), inodes("zeta ")]).toEqual([2, 1, 1]);
    expect(objects.find((object) => object.digest === digest("zeta "))?.size).toBe(500);
  });

  test("of a list keeps its order, enters directories, and follows links on the way", () => {
    const digests = (...list: string[]) => plan(...list).objects.map((object) => object.digest);
    expect(digests("/z", "d", "/twin")).toEqual([digest("zeta "), digest("alpha "), digest("shared ")]); // prettier-ignore
    expect(digests("link/b")).toEqual([digest("shared ")]);
    expect(digests("/")).toHaveLength(3);
    expect(digests("small", "link")).toEqual([]);
    // Twins that the list does not name gain too.
    expect(plan("d/a").objects[0]?.nids).toHaveLength(2);
  });

  test("of a list says what the image does not have", () => {
    const { objects, absent } = plan("no", "z/x", "d/\xff\x1b", "z");
    expect(objects).toHaveLength(1);
    expect(absent).toEqual(["no", "z/x", "d/\\xff\\x1b"]);
  });
});

describe("the option", () => {
  test("is all, or a list in a file", () => {
    const scratch = scratchFolder();
    const path = join(scratch, "list");
    writeFileSync(path, Buffer.from("/a\n\nb \xff\n", "latin1"));
    expect(parsePrefetch("all")).toBe("all");
    expect(readPrefetchList("all")).toBeUndefined();
    expect(readPrefetchList(parsePrefetch(`list:${path}`))).toEqual(["/a", "b \xff"]);
    symlinkSync(path, join(scratch, "link"));
    expect(() => parsePrefetch(`list:${scratch}/none`)).toThrow(/not there/);
    expect(() => parsePrefetch(`list:${scratch}/link`)).toThrow(/symbolic link/);
    for (const words of ["", "list", "list:", "ALL", "none"]) {
      expect(() => parsePrefetch(words), words).toThrow(/expected all or list:FILE/);
    }
  });
});
