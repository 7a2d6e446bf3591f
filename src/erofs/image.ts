/**
 * An image as a reader sees it: from bytes to inodes, names, attributes and content, decoded when
 * asked for. Offsets found in the image are never trusted: whatever the bytes are, the answer is a
 * value or a `FormatError`. `check.ts` is what checks that an image obeys every rule.
 *
 * Spec: docs/image-format.md, "What the reader accepts".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { extentOf, readData } from "./data-reader.ts";
import { DirectoryReader, type ImageDirent, type ListedDirent } from "./directory-reader.ts";
import { LAYOUT_CHUNK_BASED } from "./format.ts";
import { type ImageInode, readInode, readMode } from "./inode-reader.ts";
import { METACOPY, REDIRECT, metacopyDigest, redirectOf, visibleXattrs } from "./overlay-xattrs.ts";
import {
  type Header,
  type SuperblockFields,
  readHeader,
  readSuperblock,
} from "./superblock-reader.ts";
import { type StoredXattr, XattrReader } from "./xattr-reader.ts";

export type { ImageDirent, ListedDirent } from "./directory-reader.ts";
export type { ImageInode } from "./inode-reader.ts";

/** Where the bytes of a regular file are. */
export type FileContent =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "object"; readonly digest: VerityDigest; readonly size: number }
  | { readonly kind: "unverifiable"; readonly reason: string };

/** One image, read in place. The bytes must not change while it is in use. */
export class Image {
  readonly bytes: Uint8Array;
  readonly header: Header;
  readonly superblock: SuperblockFields;
  readonly rootNid: number;
  readonly #view: DataView;
  readonly #xattrs: XattrReader;

  private constructor(bytes: Uint8Array) {
    // The same memory; strings are read from a Buffer without a wrapper for each.
    this.bytes =
      typeof Buffer === "undefined"
        ? bytes
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.header = readHeader(bytes);
    this.superblock = readSuperblock(bytes);
    this.rootNid = this.superblock.rootNid;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#xattrs = new XattrReader(this.bytes, this.#view, this.superblock.xattrBlkaddr);
  }

  /**
   * Reads the two headers and nothing else.
   *
   * @throws {@link FormatError} `TRUNCATED`, `BAD_MAGIC`, `UNSUPPORTED`, or `LIMIT`
   */
  static open(bytes: Uint8Array): Image {
    if (bytes.length > limits.imageBytes) {
      throw new FormatError(
        "LIMIT",
        `image: expected at most ${limits.imageBytes} bytes, got ${bytes.length}`,
      );
    }
    return new Image(bytes);
  }

  /** @throws {@link FormatError} `OUT_OF_RANGE` when no inode fits there */
  inode(nid: number): ImageInode {
    return readInode(this.#view, nid, this.superblock);
  }

  /** The mode of the inode at `nid`, for walks that need nothing else of it. */
  mode(nid: number): number {
    return readMode(this.#view, nid);
  }

  /** The inode of the root directory. */
  get root(): ImageInode {
    return this.inode(this.rootNid);
  }

  /** Finds one name by binary search, "." and ".." included. */
  lookup(directory: ImageInode, name: ByteString): ImageDirent | undefined {
    return this.#directory(directory).find(name);
  }

  /** The names of a directory in stored (bytewise) order, "." and ".." included. */
  entries(directory: ImageInode, from = 0): Generator<ListedDirent, void, undefined> {
    return this.#directory(directory).entries(from);
  }

  /** The nids in a directory but those of "." and "..", in stored order. */
  nids(directory: ImageInode): Generator<number, void, undefined> {
    return this.#directory(directory).nids();
  }

  /** The attributes as stored, with their places: inline ones first, then shared ones. */
  xattrEntries(inode: ImageInode): StoredXattr[] {
    return this.#xattrs.read(inode);
  }

  /** The attributes as stored, in stored order. Of a key that repeats, the first counts. */
  storedXattrs(inode: ImageInode): Map<ByteString, ByteString> {
    const out = new Map<ByteString, ByteString>();
    for (const { key, value } of this.xattrEntries(inode)) if (!out.has(key)) out.set(key, value);
    return out;
  }

  /** The attributes as overlayfs shows them: its own hidden, escaped ones unescaped one level. */
  xattrs(inode: ImageInode): Map<ByteString, ByteString> {
    return visibleXattrs(this.storedXattrs(inode));
  }

  /** The target of a symlink. */
  target(inode: ImageInode): ByteString {
    if ((inode.mode & S_IFMT) !== S_IFLNK) {
      throw new FormatError("MALFORMED", `nid ${inode.nid}: expected a symlink`);
    }
    const { blocksLength, tailLength } = extentOf(this.bytes.length, inode);
    if (blocksLength + tailLength > limits.symlinkBytes) {
      throw new FormatError(
        "LIMIT",
        `nid ${inode.nid}: symlink: expected at most ${limits.symlinkBytes} bytes, got ${inode.size}`,
      );
    }
    return toByteString(readData(this.bytes, inode));
  }

  /** Where the bytes of a regular file are; an object is named by the digest in the image alone. */
  content(inode: ImageInode): FileContent {
    if ((inode.mode & S_IFMT) !== S_IFREG) return unverifiable("not a regular file");
    const xattrs = this.storedXattrs(inode);
    const metacopy = xattrs.get(METACOPY);
    const redirect = xattrs.get(REDIRECT);
    if (inode.layout !== LAYOUT_CHUNK_BASED) {
      if (metacopy !== undefined || redirect !== undefined) {
        return unverifiable("content of its own and a reference to an object");
      }
      return { kind: "inline", bytes: readData(this.bytes, inode) };
    }
    if (metacopy === undefined) return unverifiable("no reference to an object");
    if (metacopy === "") return unverifiable("the reference carries no digest");
    const digest = metacopyDigest(metacopy);
    if (digest === undefined) return unverifiable("the reference is malformed");
    if (redirect !== redirectOf(digest)) return unverifiable("redirect and digest disagree");
    if (inode.size > BigInt(Number.MAX_SAFE_INTEGER)) {
      return unverifiable(`size ${inode.size} is out of range`);
    }
    return { kind: "object", digest, size: Number(inode.size) };
  }

  #directory(inode: ImageInode): DirectoryReader {
    if ((inode.mode & S_IFMT) !== S_IFDIR) {
      throw new FormatError("MALFORMED", `nid ${inode.nid}: expected a directory`);
    }
    return new DirectoryReader(this.bytes, this.#view, inode);
  }
}

function unverifiable(reason: string): FileContent {
  return { kind: "unverifiable", reason };
}
