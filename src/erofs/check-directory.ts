/**
 * The rules of directory blocks and names.
 *
 * Spec: docs/image-format.md, "Rules of directories".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from "../tree/inode.ts";
import { DirectoryReader } from "./directory-reader.ts";
import {
  Dirent,
  FT_BLKDEV,
  FT_CHRDEV,
  FT_DIR,
  FT_FIFO,
  FT_REG_FILE,
  FT_SOCK,
  FT_SYMLINK,
} from "./format.ts";
import type { ImageInode } from "./image.ts";
import { ImageRuleError, rule, under } from "./image-rules.ts";

/** The type bits of a mode by the type in a directory entry. */
export const modeTypeOf: ReadonlyMap<number, number> = new Map([
  [FT_REG_FILE, S_IFREG],
  [FT_DIR, S_IFDIR],
  [FT_CHRDEV, S_IFCHR],
  [FT_BLKDEV, S_IFBLK],
  [FT_FIFO, S_IFIFO],
  [FT_SOCK, S_IFSOCK],
  [FT_SYMLINK, S_IFLNK],
]);

/** One entry other than "." and "..", with the place of its `erofs_dirent`. */
export interface CheckedDirent {
  readonly name: ByteString;
  readonly nid: number;
  readonly fileType: number;
  readonly offset: number;
}

/**
 * The entries of a directory, after the rules that concern the directory alone: blocks, names,
 * their order, and the two dots.
 */
export function* checkDirectory(
  bytes: Uint8Array,
  view: DataView,
  directory: ImageInode,
  parentNid: number,
): Generator<CheckedDirent, void, undefined> {
  const expectedDots = new Map([
    [".", directory.nid],
    ["..", parentNid],
  ]);
  let previous: string | undefined;
  for (const entry of readEntries(bytes, view, directory)) {
    const { name, nid, offset, fileType } = entry;
    rule("directory.order", previous === undefined || previous < name, offset, () => {
      return `${printable(name)} follows ${printable(previous as ByteString)}`;
    });
    previous = name;
    const dots = expectedDots.get(name);
    if (dots === undefined) {
      checkName(name, offset);
      yield entry;
      continue;
    }
    rule("directory.dots", nid === dots, offset, () => `${name}: expected nid ${dots}, got ${nid}`);
    rule("directory.type", fileType === FT_DIR, offset, () => `${name}: type ${fileType}`);
    expectedDots.delete(name);
  }
  rule("directory.dots", expectedDots.size === 0, directory.offset, () => {
    return `directory ${directory.nid} lacks ${[...expectedDots.keys()].join(" and ")}`;
  });
}

function* readEntries(
  bytes: Uint8Array,
  view: DataView,
  directory: ImageInode,
): Generator<CheckedDirent, void, undefined> {
  const reader = under("directory.block", directory.offset, () => {
    return new DirectoryReader(bytes, view, directory);
  });
  for (let i = 0; i < reader.blockCount; i++) {
    const block = under("directory.block", reader.blockOffset(i), () => reader.block(i));
    const blockEnd = block.start + block.length;
    for (let at = 0; at < block.count; at++) {
      const offset = block.start + at * Dirent.size;
      let name: ByteString;
      try {
        name = block.name(at);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        throw new ImageRuleError("directory.block", offset, error.message, { cause: error });
      }
      const reservedAt = offset + Dirent.offsets.reserved;
      rule("directory.block", bytes[reservedAt] === 0, reservedAt, () => "expected 0");
      yield { name, nid: block.nid(at), fileType: block.fileType(at), offset };
    }
    const { end } = block.nameRange(block.count - 1);
    for (let at = end; at < blockEnd; at++) {
      rule("directory.block", bytes[at] === 0, at, () => "expected zeros after the last name");
    }
    // A tail is as long as its names; only whole blocks are padded.
    const isExact = block.isTail ? end === blockEnd : true;
    rule("directory.block", isExact, end, () => "the tail goes on after its last name");
  }
}

function checkName(name: ByteString, offset: number): void {
  const isGood =
    name.length <= limits.nameBytes &&
    !name.includes("/") &&
    !name.includes("\0") &&
    !name.startsWith(".wh."); // would delete files when the tree becomes a layer again
  rule("directory.name", isGood, offset, () => `no name for a file: ${printable(name)}`);
}
