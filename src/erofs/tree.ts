/**
 * From an image back to the tree that it was made of: stubs left out, whiteouts devices again,
 * escaped attributes unescaped, references split into path and digest (spec: composefs image format,
 * sections 4 and 11). Writing the tree gives the image again.
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type Directory,
  HardLink,
  Inode,
  S_IFCHR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../tree/inode.ts";
import { LAYOUT_CHUNK_BASED } from "./format.ts";
import type { Image, ImageInode, ListedDirent } from "./image.ts";
import { readData } from "./data-reader.ts";
import { METACOPY, REDIRECT, isPrivate, metacopyDigest, unescapeKey } from "./overlay-xattrs.ts";
import { isWhiteout } from "./view.ts";

/** The mark of a whiteout that was escaped on writing. */
const ESCAPED_WHITEOUT = ascii("trusted.overlay.overlay.whiteout");
/** Marks that the writer adds for whiteouts and their directories; they carry nothing of their own. */
const writerMarks: ReadonlySet<ByteString> = new Set(
  ["trusted.overlay.overlay.whiteouts", "user.overlay.whiteouts", "user.overlay.whiteout"].map(
    ascii,
  ),
);

/**
 * The whole tree of an image, names in bytewise order, xattrs in stored order, directory sizes as
 * stored. The first name met in a walk that goes into directories at once stands for an inode,
 * later ones are {@link HardLink}s, also those of directories.
 *
 * @throws {@link FormatError} for an image that cannot be read, `LIMIT` above `limits.inodes` entries
 */
export function readTree(image: Image): Directory {
  return new TreeReader(image).read();
}

class TreeReader {
  readonly #image: Image;
  readonly #seen = new Map<number, Inode>();
  #entries = 0;

  constructor(image: Image) {
    this.#image = image;
  }

  read(): Directory {
    const stored = this.#image.root;
    const root = this.#inode(stored);
    if (root.entries === undefined) {
      throw new FormatError("MALFORMED", `nid ${stored.nid}: expected the root to be a directory`);
    }
    this.#seen.set(stored.nid, root);
    // Explicit stack: images nest deeper than calls may.
    const stack: { into: Directory; from: Iterator<ListedDirent> }[] = [
      { into: root as Directory, from: this.#image.entries(stored) },
    ];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { done, value: dirent } = top.from.next();
      if (done) {
        stack.pop();
        continue;
      }
      if (dirent.name === "." || dirent.name === "..") continue;
      const child = this.#child(top.into, dirent);
      if (child !== undefined) {
        stack.push({ into: child.directory, from: this.#image.entries(child.stored) });
      }
    }
    return root as Directory;
  }

  /** Adds one name; returns the directory to walk next when it is one. */
  #child(
    into: Directory,
    { name, nid }: ListedDirent,
  ): { directory: Directory; stored: ImageInode } | undefined {
    if (++this.#entries > limits.inodes) {
      throw new FormatError("LIMIT", `image: expected at most ${limits.inodes} names`);
    }
    const known = this.#seen.get(nid);
    if (known !== undefined) {
      into.entries.set(name, new HardLink(known));
      return undefined;
    }
    const stored = this.#image.inode(nid);
    if (isWhiteout(stored)) return undefined; // a stub; whiteouts of the tree are escaped
    const inode = this.#inode(stored);
    this.#seen.set(nid, inode);
    into.entries.set(name, inode);
    return inode.entries === undefined ? undefined : { directory: inode as Directory, stored };
  }

  #inode(stored: ImageInode): Inode {
    const inode = new Inode(stored.mode);
    inode.nlink = stored.nlink;
    inode.uid = stored.uid;
    inode.gid = stored.gid;
    inode.rdev = stored.rdev;
    inode.size = stored.size;
    inode.mtimeSeconds = stored.mtimeSeconds;
    inode.mtimeNanoseconds = stored.mtimeNanoseconds;
    const type = stored.mode & S_IFMT;
    const xattrs = this.#image.storedXattrs(stored);
    const isEscapedWhiteout = type === S_IFREG && xattrs.delete(ESCAPED_WHITEOUT);
    for (const [key, value] of xattrs) {
      if (!isPrivate(key) && !writerMarks.has(key)) inode.xattrs.set(unescapeKey(key), value);
    }
    if (isEscapedWhiteout) {
      inode.mode = S_IFCHR | (stored.mode & ~S_IFMT);
      inode.size = 0n;
    } else if (type === S_IFLNK) inode.target = this.#image.target(stored);
    else if (type === S_IFREG) this.#setContent(inode, stored, xattrs);
    return inode;
  }

  #setContent(inode: Inode, stored: ImageInode, xattrs: Map<ByteString, ByteString>): void {
    if (stored.layout !== LAYOUT_CHUNK_BASED) {
      if (stored.size > 0n) inode.content = readData(this.#image.bytes, stored);
      return;
    }
    const redirect = xattrs.get(REDIRECT);
    if (redirect !== undefined) inode.payload = redirect.slice(1) as ByteString;
    const digest = metacopyDigest(xattrs.get(METACOPY) ?? ascii(""));
    if (digest !== undefined) inode.digest = digest;
  }
}
