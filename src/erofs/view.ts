/**
 * The tree that a mount shows: what overlayfs makes of the image (overlayfs kernel documentation,
 * "whiteouts and opaque directories"). The 256 stubs in the root are whiteouts, which overlayfs
 * never shows; escaped whiteouts are ordinary files, as in the mount.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { S_IFCHR, S_IFMT } from "../tree/inode.ts";
import { FT_CHRDEV } from "./format.ts";
import type { Image, ImageDirent, ImageInode, ListedDirent } from "./image.ts";

/** True for a character device 0:0, which overlayfs takes for the absence of a file. */
export function isWhiteout(inode: ImageInode): boolean {
  return (inode.mode & S_IFMT) === S_IFCHR && inode.rdev === 0;
}

/**
 * An image as it looks mounted. A file's identity is its `nid`: stable across mounts of the same
 * image, shared by all names of a hard-linked file, and never 0 or 1. Link counts, sizes and times
 * are the inode's own.
 */
export class ImageView {
  readonly image: Image;

  constructor(image: Image) {
    this.image = image;
  }

  /** The inode of the root directory. */
  get root(): ImageInode {
    return this.image.root;
  }

  inode(nid: number): ImageInode {
    return this.image.inode(nid);
  }

  /** The inode that `name` leads to, or undefined when the mount has no such file. */
  lookup(directory: ImageInode, name: ByteString): ImageInode | undefined {
    const dirent = this.image.lookup(directory, name);
    if (dirent === undefined) return undefined;
    const inode = this.image.inode(dirent.nid);
    return isWhiteout(inode) ? undefined : inode;
  }

  /**
   * The visible names of a directory, "." and ".." included, in stored order. `from` is a stored
   * index: the `index` of the last entry seen plus one goes on after it.
   */
  *entries(directory: ImageInode, from = 0): Generator<ListedDirent, void, undefined> {
    for (const entry of this.image.entries(directory, from)) {
      if (!this.#isHidden(entry)) yield entry;
    }
  }

  #isHidden(entry: ImageDirent): boolean {
    return entry.fileType === FT_CHRDEV && isWhiteout(this.image.inode(entry.nid));
  }
}
