/**
 * An image as the tree that it was made of, or as a dump file of it: the 256 stubs of the root left
 * out, the rest as {@link restoreInode} says.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type DumpSource, formatDump } from "../tree/dump-writer.ts";
import { type Directory, HardLink, Inode, S_IFDIR, S_IFMT } from "../tree/inode.ts";
import { FT_CHRDEV } from "./format.ts";
import type { Image, ImageInode, ListedDirent } from "./image.ts";
import { restoreInode } from "./restore.ts";
import { isWhiteout } from "./view.ts";

/**
 * The whole tree of an image, names in bytewise order, xattrs in stored order. Writing it gives the
 * image again. The first name met in a depth-first walk has the inode; later ones are {@link
 * HardLink}s, also those of directories.
 *
 * @throws {@link FormatError} for an image that cannot be read; `LIMIT` above `limits.inodes` names
 */
export function readTree(image: Image): Directory {
  const seen = new Map<number, Inode>();
  const counter = new NameCounter();
  const stored = image.root;
  const root = directoryAt(image, stored);
  seen.set(stored.nid, root);
  // Explicit stack: images nest deeper than calls may.
  const stack = [{ into: root, from: realEntries(image, stored) }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { done, value: dirent } = top.from.next();
    if (done) {
      stack.pop();
      continue;
    }
    counter.add(1);
    const known = seen.get(dirent.nid);
    if (known !== undefined) {
      top.into.entries.set(dirent.name, new HardLink(known));
      continue;
    }
    const child = image.inode(dirent.nid);
    const inode = inodeAt(image, child);
    seen.set(dirent.nid, inode);
    top.into.entries.set(dirent.name, inode);
    if (inode.entries !== undefined) {
      stack.push({ into: inode as Directory, from: realEntries(image, child) });
    }
  }
  return root;
}

/**
 * The image as a dump file, byte for byte as `composefs-info dump` prints it, without making a
 * tree first.
 *
 * @throws {@link FormatError} as {@link readTree}
 */
export function dumpImage(image: Image): Generator<Uint8Array, void, undefined> {
  directoryAt(image, image.root);
  return formatDump(new ImageDumpSource(image));
}

/** Feeds the dump writer straight from the image; inodes are identified by their nid. */
class ImageDumpSource implements DumpSource<number> {
  readonly root: number;
  readonly #image: Image;

  constructor(image: Image) {
    this.#image = image;
    this.root = image.rootNid;
  }

  node(nid: number) {
    return restoreInode(this.#image, this.#image.inode(nid));
  }

  *entries(nid: number): Generator<[ByteString, number], void, undefined> {
    for (const entry of realEntries(this.#image, this.#image.inode(nid))) {
      yield [entry.name, entry.nid];
    }
  }

  linked(): Set<number> {
    const seen = new Set([this.root]);
    const linked = new Set<number>();
    const directories = [this.root];
    const counter = new NameCounter();
    for (const directory of directories) {
      // Stubs are in no listing, so it does not matter that they are met here.
      for (const nid of this.#image.nids(this.#image.inode(directory))) {
        counter.add(1);
        if (seen.has(nid)) linked.add(nid);
        else {
          seen.add(nid);
          if ((this.#image.mode(nid) & S_IFMT) === S_IFDIR) directories.push(nid);
        }
      }
    }
    return linked;
  }
}

/** Crafted directories may share their blocks, so the number of names is not bound by the size. */
class NameCounter {
  #count = 0;

  add(names: number): void {
    this.#count += names;
    if (this.#count > limits.inodes) {
      throw new FormatError("LIMIT", `image: expected at most ${limits.inodes} names, got more`);
    }
  }
}

/** The entries that the tree had: neither "." and ".." nor stubs. */
function* realEntries(
  image: Image,
  directory: ImageInode,
): Generator<ListedDirent, void, undefined> {
  for (const entry of image.entries(directory)) {
    if (entry.name === "." || entry.name === "..") continue;
    // Whiteouts of the tree are escaped: a device 0:0 is always a stub.
    if (entry.fileType === FT_CHRDEV && isWhiteout(image.inode(entry.nid))) continue;
    yield entry;
  }
}

function inodeAt(image: Image, stored: ImageInode): Inode {
  const { xattrs, ...fields } = restoreInode(image, stored);
  return Object.assign(new Inode(stored.mode), fields, { xattrs: new Map(xattrs) });
}

function directoryAt(image: Image, stored: ImageInode): Directory {
  if ((stored.mode & S_IFMT) !== S_IFDIR) {
    throw new FormatError("MALFORMED", `nid ${stored.nid}: expected the root to be a directory`);
  }
  return inodeAt(image, stored) as Directory;
}
