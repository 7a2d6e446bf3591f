/**
 * The rules of one inode: its fields, and where its data lies.
 *
 * Spec: docs/image-format.md, "Rules of inodes", "Rules of the layout" and "Rules of symlinks and
 * files".
 *
 * @module
 */
import { type ByteString, printable, toByteString } from "../bytes/bytestring.ts";
import { limits } from "../limits.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import { type Extent, extentOf } from "./data-reader.ts";
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  CHUNK_BITS_MAX,
  FORMAT_EXTENDED,
  InodeCompact,
  InodeExtended,
  LAYOUT_CHUNK_BASED,
  LAYOUT_FLAT_INLINE,
  LAYOUT_FLAT_PLAIN,
  NULL_CHUNK,
} from "./format.ts";
import type { ImageInode } from "./image.ts";
import { ImageRuleError, rule, under } from "./image-rules.ts";
import {
  ESCAPED_WHITEOUT,
  METACOPY,
  REDIRECT,
  hasDigest,
  isRedirectTo,
  metacopyDigest,
  redirectOf,
} from "./overlay-xattrs.ts";
import type { SpaceMap } from "./space-map.ts";
import type { StoredXattr } from "./xattr-reader.ts";

const NANOSECONDS = 1_000_000_000;
const CHUNKS_MAX = 1024;

/** Checks inodes, claims their space, and remembers the size of every object. */
export class ContentRules {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #space: SpaceMap;
  readonly #sizes = new Map<ByteString, bigint>();

  constructor(bytes: Uint8Array, view: DataView, space: SpaceMap) {
    this.#bytes = bytes;
    this.#view = view;
    this.#space = space;
  }

  /** Checks the fields that do not depend on what the inode holds. */
  checkFields(inode: ImageInode): void {
    const { offset, format } = inode;
    const isExtended = (format & FORMAT_EXTENDED) !== 0;
    const at = isExtended ? InodeExtended.offsets : InodeCompact.offsets;
    const type = inode.mode & S_IFMT;
    const isExternal = inode.layout === LAYOUT_CHUNK_BASED && type === S_IFREG;
    const isInline =
      inode.layout === LAYOUT_FLAT_INLINE &&
      (type === S_IFREG || type === S_IFDIR || type === S_IFLNK);
    rule(
      "inode.format",
      isExternal || isInline || inode.layout === LAYOUT_FLAT_PLAIN,
      offset,
      () => `nid ${inode.nid}: format ${format} with mode ${inode.mode.toString(8)}`,
      "UNSUPPORTED",
    );
    for (const [from, to] of isExtended ? EXTENDED_RESERVED : COMPACT_RESERVED) {
      for (let i = from; i < to; i++) {
        rule("inode.reserved", this.#bytes[offset + i] === 0, offset + i, () => "expected 0");
      }
    }
    rule("inode.size", inode.size <= MAX_SIZE, offset + at.size, () => {
      return `nid ${inode.nid}: expected less than 2^53 bytes, got ${inode.size}`;
    });
    rule("inode.time", inode.mtimeNanoseconds < NANOSECONDS, offset, () => {
      return `nid ${inode.nid}: expected nanoseconds below 10^9, got ${inode.mtimeNanoseconds}`;
    });
  }

  /**
   * Checks and claims the inode with its data; returns where the inode ends, inline data included.
   */
  checkContent(inode: ImageInode, xattrs: readonly StoredXattr[]): number {
    const type = inode.mode & S_IFMT;
    const metacopy = xattrs.find(({ key }) => key === METACOPY);
    const redirect = xattrs.find(({ key }) => key === REDIRECT);
    if (type === S_IFREG && inode.size > 0n) {
      // Composefs takes it for a device, which has no content; overlayfs shows the file.
      const mark = xattrs.find(({ key }) => key === ESCAPED_WHITEOUT);
      rule("whiteout.content", mark === undefined, mark?.offset ?? inode.offset, () => {
        return `nid ${inode.nid}: a whiteout of ${inode.size} bytes`;
      });
    }
    if (inode.layout === LAYOUT_CHUNK_BASED) {
      this.#checkReference(inode, metacopy, redirect);
      return this.#claimChunks(inode);
    }
    for (const entry of [metacopy, redirect]) {
      if (entry === undefined) continue;
      const ruleName = entry === metacopy ? "overlay.metacopy" : "overlay.redirect";
      throw new ImageRuleError(ruleName, entry.offset, `nid ${inode.nid} is no external file`);
    }
    const holdsData = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
    rule(
      "inode.size",
      holdsData || inode.size === 0n,
      inode.offset + InodeCompact.offsets.size,
      () => {
        return `nid ${inode.nid}: a device, fifo or socket of ${inode.size} bytes`;
      },
    );
    const extent = under("layout.range", inode.offset, () => extentOf(this.#bytes.length, inode));
    const end = this.#claimFlat(inode, extent);
    if (type === S_IFLNK) this.#checkTarget(inode, extent);
    if (type === S_IFDIR) this.#checkDirectorySize(inode);
    return end;
  }

  #checkReference(
    inode: ImageInode,
    metacopy: StoredXattr | undefined,
    redirect: StoredXattr | undefined,
  ): void {
    const hasKnownForm = metacopy !== undefined && hasDigest(metacopy.value);
    rule("overlay.metacopy", hasKnownForm, metacopy?.offset ?? inode.offset, () => {
      const got = metacopy === undefined ? "none" : `${metacopy.value.length} bytes`;
      return `nid ${inode.nid}: expected a digest of a known form, got ${got}`;
    });
    const { value } = metacopy;
    const agrees = redirect !== undefined && isRedirectTo(redirect.value, value);
    rule("overlay.redirect", agrees, redirect?.offset ?? inode.offset, () => {
      const got = redirect === undefined ? "none" : printable(redirect.value);
      return `nid ${inode.nid}: expected ${redirectOf(metacopyDigest(value)!)}, got ${got}`;
    });
    const size = this.#sizes.get(value);
    rule("overlay.size", size === undefined || size === inode.size, inode.offset, () => {
      const digest = metacopyDigest(value);
      return `nid ${inode.nid}: ${digest} has ${inode.size} bytes here, ${size} elsewhere`;
    });
    this.#sizes.set(value, inode.size);
  }

  /** Only the kernel uses the chunk table: its chunks are holes, filled through the redirect. */
  #claimChunks(inode: ImageInode): number {
    const at = inode.offset + InodeCompact.offsets.u;
    rule("file.chunks", inode.size > 0n, inode.offset, () => `nid ${inode.nid}: an empty file`);
    const bits = chunkBits(inode.size);
    rule("file.chunks", inode.u === bits - BLOCK_BITS, at, () => {
      return `nid ${inode.nid}: expected chunk format ${bits - BLOCK_BITS}, got ${inode.u}`;
    });
    const chunks = Number((inode.size + (1n << BigInt(bits)) - 1n) >> BigInt(bits));
    rule("file.chunks", chunks <= CHUNKS_MAX, inode.offset, () => {
      return `nid ${inode.nid}: expected at most ${CHUNKS_MAX} chunks, got ${chunks}`;
    });
    const end = inode.tailOffset + chunks * 4;
    this.#claimInode(inode, end);
    for (let offset = inode.tailOffset; offset < end; offset += 4) {
      const address = this.#view.getUint32(offset, true);
      rule("file.chunks", address === NULL_CHUNK, offset, () => {
        return `nid ${inode.nid}: expected a hole, got block ${address}`;
      });
    }
    return end;
  }

  #claimFlat(inode: ImageInode, extent: Extent): number {
    const { blocksOffset, blocksLength, tailOffset, tailLength } = extent;
    const isDevice = (inode.mode & S_IFMT) === S_IFCHR || (inode.mode & S_IFMT) === S_IFBLK;
    rule(
      "inode.format",
      (inode.layout === LAYOUT_FLAT_INLINE) === tailLength > 0,
      inode.offset,
      () => `nid ${inode.nid}: format ${inode.format} with a tail of ${tailLength} bytes`,
    );
    rule(
      "layout.range",
      isDevice || blocksLength > 0 || inode.u === 0,
      inode.offset + InodeCompact.offsets.u,
      () => `nid ${inode.nid}: a block address without blocks`,
    );
    const end = tailOffset + tailLength;
    this.#claimInode(inode, end);
    if (blocksLength > 0) {
      this.#space.claim(blocksOffset, blocksOffset + blocksLength);
      const last = blocksOffset + Math.ceil(blocksLength / BLOCK_SIZE) * BLOCK_SIZE;
      this.#claimPadding(blocksOffset + blocksLength, last);
    }
    return end;
  }

  /** The rest of a partly filled block belongs to nothing, and is zero. */
  #claimPadding(start: number, end: number): void {
    this.#space.expectZeros(start, end);
    const slot = Math.ceil(start / InodeCompact.size) * InodeCompact.size;
    if (slot < end) this.#space.claim(slot, end);
  }

  #claimInode(inode: ImageInode, end: number): void {
    const fits = end <= this.#bytes.length;
    rule("layout.range", fits, inode.offset, () => `nid ${inode.nid} ends at byte ${end}`);
    rule(
      "layout.tail",
      end === inode.tailOffset || blockOf(inode.tailOffset) === blockOf(end - 1),
      inode.tailOffset,
      () => `nid ${inode.nid}: inline data from ${inode.tailOffset} to ${end} crosses a block`,
    );
    this.#space.claimInode(inode.nid, end);
  }

  #checkTarget(inode: ImageInode, extent: Extent): void {
    const { blocksOffset, blocksLength, tailOffset, tailLength } = extent;
    const start = blocksLength > 0 ? blocksOffset : tailOffset;
    const length = blocksLength + tailLength;
    rule("symlink.target", length >= 1 && length <= limits.symlinkBytes, inode.offset, () => {
      return `nid ${inode.nid}: expected 1 to ${limits.symlinkBytes} bytes, got ${length}`;
    });
    const target: ByteString = toByteString(this.#bytes, start, start + length);
    rule("symlink.target", !target.includes("\0"), start, () => {
      return `nid ${inode.nid}: NUL in ${printable(target)}`;
    });
  }

  #checkDirectorySize(inode: ImageInode): void {
    const isWhole = inode.layout === LAYOUT_FLAT_INLINE || inode.size % BigInt(BLOCK_SIZE) === 0n;
    rule("directory.block", inode.size > 0n && isWhole, inode.offset, () => {
      return `directory ${inode.nid}: of ${inode.size} bytes`;
    });
  }
}

const MAX_SIZE = BigInt(Number.MAX_SAFE_INTEGER);
const blockOf = (offset: number) => Math.floor(offset / BLOCK_SIZE);

const reserved = (at: number, width: number) => [at, at + width] as const;
const COMPACT_RESERVED = [
  reserved(InodeCompact.offsets.reserved, 4),
  reserved(InodeCompact.offsets.reserved2, 4),
];
const EXTENDED_RESERVED = [
  reserved(InodeExtended.offsets.reserved, 2),
  reserved(InodeExtended.offsets.reserved2, 16),
];

/** Bits of a chunk's size: the whole file in one chunk, as far as the format goes. */
function chunkBits(size: bigint): number {
  const bits = size === 1n ? 1 : (size - 1n).toString(2).length;
  return Math.min(Math.max(bits, BLOCK_BITS), CHUNK_BITS_MAX);
}
