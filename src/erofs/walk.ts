/**
 * Finding files in an image by path, and walking over them.
 *
 * @module
 */
import { type ByteString, ascii, printable } from "../bytes/bytestring.ts";
import { FormatError, NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../tree/inode.ts";
import { joinPath, splitPath } from "../tree/paths.ts";
import type { ImageInode } from "./image.ts";
import type { ImageView } from "./view.ts";

/** A file and where it is. */
export interface WalkedFile {
  /** From the root: "" is the root itself. */
  readonly path: ByteString;
  readonly inode: ImageInode;
}

/**
 * The file at `path`. Symlinks on the way are followed inside the image, the last one only with
 * `follow`; the path that is returned is the one that was reached.
 *
 * @throws {@link NotFoundError} `NO_FILE`
 */
export function findFile(view: ImageView, path: ByteString, follow = false): WalkedFile {
  const missing = (why: string) =>
    new NotFoundError("NO_FILE", `${printable(path)}: ${why}`, {
      hint: "sealfs ls -R lists what the image has",
    });
  const reached: { name: ByteString; inode: ImageInode }[] = [];
  const names = splitPath(path).toReversed();
  let symlinks = 0;
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (name === "..") {
      reached.pop(); // ".." of the root is the root
      continue;
    }
    const directory = reached.at(-1)?.inode ?? view.root;
    if (!isDirectory(directory)) throw missing("not a directory on the way");
    const inode = view.lookup(directory, name);
    if (inode === undefined) throw missing("no such file in the image");
    if ((inode.mode & S_IFMT) === S_IFLNK && (follow || names.length > 0)) {
      if (++symlinks > limits.symlinks) throw missing("too many symbolic links");
      const target = view.image.target(inode);
      if (target.startsWith("/")) reached.length = 0;
      names.push(...splitPath(target).toReversed());
      continue;
    }
    reached.push({ name, inode });
  }
  const reachedPath = reached.map(({ name }) => `/${name}`).join("") as ByteString;
  return { path: reachedPath, inode: reached.at(-1)?.inode ?? view.root };
}

/** The files of one directory, in bytewise order of their names. */
export function* childrenOf(
  view: ImageView,
  { path, inode }: WalkedFile,
): Generator<WalkedFile, void, undefined> {
  for (const { name, nid } of view.entries(inode)) {
    if (name === "." || name === "..") continue;
    yield { path: joinPath(path, name), inode: view.inode(nid) };
  }
}

/**
 * Everything below `start`: directories before what is in them. A directory that occurs twice (which
 * the checker refuses) is walked once.
 *
 * @throws {@link FormatError} `LIMIT` above `limits.inodes` files
 */
export function* walkFiles(
  view: ImageView,
  start: WalkedFile = { path: ascii(""), inode: view.root },
): Generator<WalkedFile, void, undefined> {
  const walked = new Set([start.inode.nid]);
  let files = 0;
  const stack = [childrenOf(view, start)];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { done, value: file } = top.next();
    if (done) {
      stack.pop();
      continue;
    }
    if (++files > limits.inodes) {
      throw new FormatError("LIMIT", `image: expected at most ${limits.inodes} files, got more`);
    }
    yield file;
    const { inode } = file;
    if (!isDirectory(inode) || walked.has(inode.nid)) continue;
    walked.add(inode.nid);
    stack.push(childrenOf(view, file));
  }
}

/** True for a directory. */
export function isDirectory(inode: ImageInode): boolean {
  return (inode.mode & S_IFMT) === S_IFDIR;
}
