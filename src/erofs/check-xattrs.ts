/**
 * The rules of extended attributes, and of the shared table.
 *
 * Spec: docs/image-format.md, "Rules of xattrs" and "Rules for overlayfs".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../tree/inode.ts";
import {
  BLOCK_SIZE,
  INODES_OFFSET,
  SUPERBLOCK_OFFSET,
  Superblock,
  XATTR_FILTER_SEED,
  XATTR_PREFIXES,
  XattrIbodyHeader,
} from "./format.ts";
import type { Image, ImageInode } from "./image.ts";
import { ImageRuleError, rule, under } from "./image-rules.ts";
import { METACOPY, OPAQUE, REDIRECT, isPrivate, isShown, unescapeKey } from "./overlay-xattrs.ts";
import { aclFault } from "./check-acl.ts";
import type { SpaceMap } from "./space-map.ts";
import { type StoredXattr, readXattrEntry, sharedXattrOffset } from "./xattr-reader.ts";

/** The keys that make the header's ACL flag. */
const ACCESS_ACL = "system.posix_acl_access";
const aclKeys = new Set<string>([ACCESS_ACL, "system.posix_acl_default"]);

const body = XattrIbodyHeader.offsets;

/** Checks the xattrs of inode after inode, then the table that they share. */
export class XattrRules {
  readonly #image: Image;
  readonly #view: DataView;
  readonly #keys = new Map<ByteString, { nameIndex: number; filterBit: number }>();
  /** Shared entries by their offset, each decoded and checked once. */
  readonly #shared = new Map<number, StoredXattr>();
  /** True once an inode with a POSIX ACL has been met. */
  hasAcl = false;

  constructor(image: Image, view: DataView) {
    this.#image = image;
    this.#view = view;
  }

  /** Checks the xattrs of one inode; returns them in stored order. */
  check(inode: ImageInode): readonly StoredXattr[] {
    if (inode.xattrIcount === 0) return [];
    const found = this.#read(inode);
    let size = 0;
    let filter = 0xffffffff;
    const keys = new Set<ByteString>();
    for (const entry of found) {
      rule("xattr.duplicate", !keys.has(entry.key), entry.offset, () => {
        return `nid ${inode.nid} has ${printable(entry.key)} twice`;
      });
      keys.add(entry.key);
      size += entry.key.length + entry.value.length;
      filter &= ~(1 << this.#keys.get(entry.key)!.filterBit);
      if (aclKeys.has(entry.key)) {
        this.hasAcl = true;
        checkAcl(inode, entry);
      }
      this.#checkPrivate(inode, entry);
    }
    rule(
      "xattr.size",
      size <= limits.xattrInodeBytes,
      inode.xattrOffset,
      () => `expected at most ${limits.xattrInodeBytes} bytes of keys and values, got ${size}`,
      "LIMIT",
    );
    // The kernel looks up only what the filter admits: a wrong one hides an attribute that is
    // listed.
    const stored = this.#view.getUint32(inode.xattrOffset + body.nameFilter, true);
    rule("xattr.filter", stored === filter >>> 0, inode.xattrOffset, () => {
      return `expected 0x${(filter >>> 0).toString(16)}, got 0x${stored.toString(16)}`;
    });
    return found;
  }

  /**
   * Checks the table, which begins where the inodes end, and claims its bytes: entries back to
   * back, then zeros up to the first data block.
   */
  checkTable(inodesEnd: number, space: SpaceMap): void {
    const at = SUPERBLOCK_OFFSET + Superblock.offsets.xattrBlkaddr;
    const { xattrBlkaddr } = this.#image.superblock;
    const expected = Math.floor(inodesEnd / BLOCK_SIZE);
    rule("superblock.xattr-table", xattrBlkaddr === expected, at, () => {
      return `expected block ${expected}, got ${xattrBlkaddr}`;
    });
    const limit = space.nextOwned(inodesEnd);
    let end = inodesEnd;
    let known = 0;
    // No entry has an empty key and value: zeros are the padding after the table.
    while (end < limit && this.#view.getUint32(end, true) !== 0) {
      const entry = this.#shared.get(end) ?? this.#readEntry(end, limit);
      if (this.#shared.has(end)) known++;
      end = entry.end;
    }
    if (known !== this.#shared.size) {
      const stray = [...this.#shared.keys()].find((offset) => offset < inodesEnd || offset >= end);
      throw new ImageRuleError(
        "xattr.shared",
        stray ?? inodesEnd,
        "an inode refers to what is no entry of the shared table",
      );
    }
    if (end > inodesEnd) space.claim(inodesEnd, end);
  }

  #read(inode: ImageInode): StoredXattr[] {
    const view = this.#view;
    for (let at = body.reserved; at < XattrIbodyHeader.size; at++) {
      const offset = inode.xattrOffset + at;
      rule("xattr.reserved", view.getUint8(offset) === 0, offset, () => "expected 0");
    }
    const sharedCount = view.getUint8(inode.xattrOffset + body.sharedCount);
    const idsAt = inode.xattrOffset + XattrIbodyHeader.size;
    const inlineAt = idsAt + sharedCount * 4;
    rule("xattr.range", inlineAt <= inode.tailOffset, inode.xattrOffset + body.sharedCount, () => {
      return `${sharedCount} shared xattrs do not fit into the xattr body`;
    });
    const found: StoredXattr[] = [];
    for (let at = inlineAt; at < inode.tailOffset; at = found.at(-1)!.end) {
      found.push(this.#readEntry(at, inode.tailOffset));
    }
    for (let at = idsAt; at < inlineAt; at += 4) {
      const offset = sharedXattrOffset(
        this.#image.superblock.xattrBlkaddr,
        view.getUint32(at, true),
      );
      let entry = this.#shared.get(offset);
      if (entry === undefined) {
        const isInside = offset >= INODES_OFFSET && offset < view.byteLength;
        rule("xattr.shared", isInside, at, () => `an entry at byte ${offset}`);
        entry = this.#readEntry(offset, view.byteLength);
        this.#shared.set(offset, entry);
      }
      found.push(entry);
    }
    return found;
  }

  #readEntry(offset: number, limit: number): StoredXattr {
    const { bytes } = this.#image;
    let entry: StoredXattr;
    try {
      entry = readXattrEntry(bytes, this.#view, offset, limit);
    } catch (error) {
      const isPrefix = error instanceof FormatError && error.code === "UNSUPPORTED";
      return under(isPrefix ? "xattr.prefix" : "xattr.range", offset, () => {
        throw error;
      });
    }
    const { key } = entry;
    // Escaping makes a key longer; the limit is on what a reader sees.
    const length = unescapeKey(key).length;
    rule(
      "xattr.key",
      length > 0 && length <= limits.xattrNameBytes && !key.includes("\0"),
      offset,
      () => `expected 1 to ${limits.xattrNameBytes} bytes without NUL, got ${printable(key)}`,
    );
    rule("xattr.name", isShown(key), offset, () => {
      return `${printable(key)}: no attribute that the kernel shows`;
    });
    let facts = this.#keys.get(key);
    if (facts === undefined) {
      facts = keyFacts(key);
      this.#keys.set(key, facts);
    }
    const { nameIndex } = facts;
    rule("xattr.prefix", entry.nameIndex === nameIndex, offset, () => {
      return `${printable(key)}: expected prefix index ${nameIndex}, got ${entry.nameIndex}`;
    });
    const padding = valueEnd(entry);
    rule("xattr.reserved", this.#allZero(padding, entry.end), padding, () => "expected zeros");
    return entry;
  }

  #allZero(start: number, end: number): boolean {
    for (let at = start; at < end; at++) if (this.#image.bytes[at] !== 0) return false;
    return true;
  }

  /** overlayfs acts on these, so an image may have only those that it needs. */
  #checkPrivate(inode: ImageInode, { key, value, offset }: StoredXattr): void {
    if (!isPrivate(key) || key === METACOPY || key === REDIRECT) return; // the content's rules
    const isRoot = inode.nid === this.#image.rootNid;
    rule("overlay.private", isRoot && key === OPAQUE && value === "y", offset, () => {
      return `nid ${inode.nid} has ${printable(key)}=${printable(value)}`;
    });
  }
}

/** A kernel that cannot understand an ACL lets nobody use the file. */
function checkAcl(inode: ImageInode, { key, value, offset }: StoredXattr): void {
  const type = inode.mode & S_IFMT;
  const hasOne = type !== S_IFLNK && (key === ACCESS_ACL || type === S_IFDIR);
  const fault = hasOne ? aclFault(value) : "it has none";
  rule("xattr.acl", fault === undefined, offset, () => `nid ${inode.nid}: ${key}: ${fault}`);
}

/** The first byte after an entry's value. */
function valueEnd({ offset, key, value, nameIndex }: StoredXattr): number {
  const prefix = XATTR_PREFIXES.find(([, index]) => index === nameIndex)?.[0] ?? "";
  return offset + 4 + key.length - prefix.length + value.length;
}

function keyFacts(key: ByteString): { nameIndex: number; filterBit: number } {
  const [prefix, nameIndex] = XATTR_PREFIXES.find(([candidate]) => key.startsWith(candidate))!;
  const hash = xxh32(key.slice(prefix.length) as ByteString, XATTR_FILTER_SEED + nameIndex);
  return { nameIndex, filterBit: hash & 31 };
}
