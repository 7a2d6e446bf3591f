/**
 * A verified image as a read-only file system: what overlayfs shows of it, with content that is
 * checked block by block. Node numbers are the image's own, so nothing has to be remembered between
 * requests.
 *
 * @module
 */
import { type ByteString, toBytes } from "../bytes/bytestring.ts";
import { IntegrityError } from "../errors.ts";
import { BLOCK_SIZE, SLOT_SIZE } from "../erofs/format.ts";
import type { FileContent, Image } from "../erofs/image.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../tree/inode.ts";
import { Attributes, InodeTable } from "./attributes.ts";
import { DirectoryCursor, isDot } from "./directory.ts";
import type { ObjectFile, ObjectReader } from "./object-reader.ts";
import { readBlocks } from "./read-blocks.ts";
import { SmallCache } from "./small-cache.ts";

/** What statfs reports; sizes in blocks of 4096 bytes. */
export interface FileSystemSize {
  readonly blocks: number;
  readonly files: number;
}

/** Where content is, of as many files as are in use at a time; some 150 bytes each. */
const CACHED_CONTENTS = 8192;
const CACHED_XATTRS = 1024;
const noXattrs: ReadonlyMap<ByteString, ByteString> = new Map();

/** One image, one thread's view of it. */
export class ImageFileSystem {
  readonly image: Image;
  readonly rootNid: number;
  readonly inodes: InodeTable;
  readonly #objects: ObjectReader;
  readonly #cursor: DirectoryCursor;
  readonly #attributes = new Attributes();
  readonly #contents = new SmallCache<number, FileContent>(CACHED_CONTENTS);
  readonly #xattrs = new SmallCache<number, ReadonlyMap<ByteString, ByteString>>(CACHED_XATTRS);
  #size: FileSystemSize | undefined;

  constructor(image: Image, objects: ObjectReader, rootNid = image.rootNid) {
    this.image = image;
    this.rootNid = rootNid;
    this.inodes = new InodeTable(image.bytes);
    this.#objects = objects;
    this.#cursor = new DirectoryCursor(this.inodes);
  }

  /** The inode's fields, in a record that the next call fills again. */
  attributes(nid: number): Attributes {
    return this.inodes.read(nid, this.#attributes);
  }

  /** The inode that `name[start, end)` leads to in a directory; 0 when there is none. */
  lookup(directory: number, name: Uint8Array, start: number, end: number): number {
    return this.#cursor.find(directory, name, start, end);
  }

  /** The entries of a directory from `position` on; the next call moves the same cursor. */
  entries(directory: number, position: number): DirectoryCursor {
    return this.#cursor.seek(directory, position);
  }

  isDirectory(nid: number): boolean {
    return (this.attributes(nid).mode & S_IFMT) === S_IFDIR;
  }

  /** Whether {@link prepare} has little to do. */
  isKnown(nid: number): boolean {
    const content = this.#content(nid);
    if (content.kind !== "object") return true;
    return this.#objects.isKnown({ nid, digest: content.digest, size: content.size });
  }

  /**
   * The object that is a regular file's content; undefined when the image has the content itself.
   *
   * @throws {@link IntegrityError} when no object can be what the image says
   */
  objectOf(nid: number): ObjectFile | undefined {
    const content = this.#content(nid);
    if (content.kind === "inline") return undefined;
    if (content.kind === "unverifiable") throw unverifiable(nid, content.reason);
    return { nid, digest: content.digest, size: content.size };
  }

  /**
   * Makes sure that a regular file can be read.
   *
   * @throws {@link IntegrityError} when no place has the content as signed
   */
  prepare(nid: number): void {
    const file = this.objectOf(nid);
    if (file !== undefined) this.#objects.prepare(file);
  }

  /**
   * Reads up to `length` bytes of a file into `out` at `at` and returns how many there were. `out`
   * must have room for `length` bytes.
   *
   * @throws {@link IntegrityError} when no place has the content as signed
   */
  read(nid: number, offset: number, length: number, out: Uint8Array, at: number): number {
    const content = this.#content(nid);
    if (content.kind === "unverifiable") throw unverifiable(nid, content.reason);
    if (content.kind === "inline") {
      const bytes = content.bytes.subarray(offset, offset + length);
      out.set(bytes, at);
      return bytes.length;
    }
    const file = { nid, digest: content.digest, size: content.size };
    return readBlocks(this.#objects, file, offset, length, out, at);
  }

  /** The target of a symlink. */
  target(nid: number): Uint8Array {
    return toBytes(this.image.target(this.image.inode(nid)));
  }

  /** The extended attributes that users see. */
  xattrs(nid: number): ReadonlyMap<ByteString, ByteString> {
    if (this.attributes(nid).xattrIcount === 0) return noXattrs;
    return this.#xattrs.get(nid, () => this.image.xattrs(this.image.inode(nid)));
  }

  /** The size, counted once: the image itself, and all files with their content. */
  size(): FileSystemSize {
    return (this.#size ??= this.#measure());
  }

  #content(nid: number): FileContent {
    return this.#contents.get(nid, () => this.image.content(this.image.inode(nid)));
  }

  #measure(): FileSystemSize {
    // A byte for each place where an inode may be: a set of numbers takes forty times as much.
    const seen = new Uint8Array(Math.ceil(this.image.bytes.length / SLOT_SIZE));
    seen[this.rootNid] = 1;
    let files = 1;
    const queue = [this.rootNid];
    const cursor = new DirectoryCursor(this.inodes);
    const inode = new Attributes();
    const { bytes } = this.image;
    let blocks = Math.ceil(bytes.length / BLOCK_SIZE);
    for (let nid = queue.pop(); nid !== undefined; nid = queue.pop()) {
      for (cursor.seek(nid); cursor.next();) {
        // The parent of a root that is not the image's own is not shown.
        if (seen[cursor.nid] !== 0 || isDot(bytes, cursor.nameAt, cursor.nameLength)) continue;
        seen[cursor.nid] = 1;
        files += 1;
        this.inodes.read(cursor.nid, inode);
        const type = inode.mode & S_IFMT;
        if (type === S_IFDIR) queue.push(cursor.nid);
        else if (type === S_IFREG) blocks += Math.ceil(inode.size / BLOCK_SIZE);
      }
    }
    return { blocks, files };
  }
}

/** `d_type` of an EROFS file type. */
export function directoryType(fileType: number): number {
  return directoryTypes[fileType] ?? 0;
}

// FT_REG_FILE, FT_DIR, FT_CHRDEV … to DT_REG, DT_DIR, DT_CHR …
const directoryTypes = [0, 8, 4, 2, 6, 1, 12, 10];

function unverifiable(nid: number, reason: string): IntegrityError {
  return new IntegrityError("DIGEST_MISMATCH", `inode ${nid}: ${reason}`);
}
