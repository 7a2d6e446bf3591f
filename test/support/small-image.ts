/**
 * Small images made for one test, and places in them.
 *
 * @module
 */
import { ascii } from "../../src/bytes/bytestring.ts";
import { Image, type ImageInode } from "../../src/erofs/image.ts";
import { DirectoryReader } from "../../src/erofs/directory-reader.ts";
import { Dirent } from "../../src/erofs/format.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { parseDump } from "../../src/tree/dump-reader.ts";

/** The image of a dump file given as lines, format version 1 where it needs to be. */
export function imageOf(...lines: string[]): Uint8Array {
  return writeImage(parseDump(Buffer.from(`${lines.join("\n")}\n`, "latin1")));
}

/** The inode at `path`, such as `/d/f`. */
export function inodeAt(bytes: Uint8Array, path: string): ImageInode {
  const image = Image.open(bytes);
  let inode = image.root;
  for (const name of path.split("/").filter((part) => part !== "")) {
    const dirent = image.lookup(inode, ascii(name));
    if (dirent === undefined) throw new Error(`no ${name} on the way to ${path}`);
    inode = image.inode(dirent.nid);
  }
  return inode;
}

/** Where the entry `name` of a directory lies: its `erofs_dirent`, and its name. */
export function direntAt(bytes: Uint8Array, directory: string, name: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new DirectoryReader(bytes, view, inodeAt(bytes, directory));
  for (let i = 0; i < reader.blockCount; i++) {
    const block = reader.block(i);
    for (let at = 0; at < block.count; at++) {
      if (block.name(at) !== name) continue;
      return { offset: block.start + at * Dirent.size, ...block.nameRange(at) };
    }
  }
  throw new Error(`no ${name} in ${directory}`);
}

/** A copy of `bytes` with other bytes at `offset`; texts have one byte per character. */
export function patched(
  bytes: Uint8Array,
  offset: number,
  value: string | readonly number[] | Uint8Array,
): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(typeof value === "string" ? Buffer.from(value, "latin1") : value, offset);
  return copy;
}

/** A little-endian number in `width` bytes. */
export function le(value: number | bigint, width: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes.subarray(0, width);
}
