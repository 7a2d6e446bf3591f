/**
 * What an upper directory takes from the image below it: files of which only attributes were changed,
 * whose content overlayfs reads from the image (`metacopy`), and directories that were renamed, whose
 * files it looks for under the old name (`redirect`). Over another image these would be what nobody has
 * made: a size of one file and the content of another.
 *
 * @module
 */
import { type BigIntStats, lstatSync, readdirSync } from "node:fs";
import { type ByteString, ascii, fromText, toBytes } from "../../bytes/bytestring.ts";
import { METACOPY, OPAQUE, REDIRECT } from "../../erofs/overlay-xattrs.ts";
import type { ImageInode } from "../../erofs/image.ts";
import type { ImageView } from "../../erofs/view.ts";
import { getXattr } from "../../sys/xattr.ts";
import { S_IFDIR, S_IFMT } from "../../tree/inode.ts";

/** A file or directory of an upper directory that needs the image. */
export interface Borrowed {
  readonly kind: "content" | "directory";
  /** Its path on this machine. */
  readonly path: ByteString;
  /** The same from the root of the mount. */
  readonly shown: ByteString;
  /** What the directory was called. */
  readonly redirect: ByteString | undefined;
  /** What it needs of each image; undefined where that has nothing there. */
  readonly lower: readonly (ImageInode | undefined)[];
}

/** One file below an upper directory. */
export interface UpperFile {
  readonly path: ByteString;
  readonly borrowed: Borrowed | undefined;
}

interface Level {
  readonly path: ByteString;
  readonly shown: ByteString;
  readonly lower: readonly (ImageInode | undefined)[];
}

/** Every file below `upper`, and what it would be given by each of `images`. */
export function* upperFiles(upper: string, images: readonly ImageView[]): Generator<UpperFile> {
  const roots = images.map((view) => view.root);
  const pending: Level[] = [{ path: fromText(upper), shown: ascii(""), lower: roots }];
  for (let level = pending.pop(); level !== undefined; level = pending.pop()) {
    const names = readdirSync(systemPath(level.path), { encoding: "latin1" }) as ByteString[];
    for (const name of names.sort()) {
      const path = `${level.path}/${name}` as ByteString;
      const shown = `${level.shown}/${name}` as ByteString;
      const stat = lstat(path);
      if (!stat.isDirectory() && !stat.isFile()) {
        yield { path, borrowed: undefined };
        continue;
      }
      const redirect = getXattr(path, REDIRECT);
      const isOpaque = stat.isDirectory() && getXattr(path, OPAQUE) !== undefined;
      const under = (where: ByteString) =>
        images.map((view, i) => (isOpaque ? undefined : find(view, level.lower[i], where)));
      const lower = under(redirect ?? name);
      if (stat.isDirectory()) pending.push({ path, shown, lower: lower.map(asDirectory) });
      const kind = stat.isDirectory() ? "directory" : "content";
      const borrows = stat.isDirectory()
        ? redirect !== undefined && !isOpaque && !isEqual(lower, under(name))
        : getXattr(path, METACOPY) !== undefined;
      yield { path, borrowed: borrows ? { kind, path, shown, redirect, lower } : undefined };
    }
  }
}

/** A redirect is a path from the root, or another name in the same directory. */
function find(
  view: ImageView,
  parent: ImageInode | undefined,
  where: ByteString,
): ImageInode | undefined {
  let inode = where.startsWith("/") ? view.root : parent;
  for (const name of where.split("/")) {
    if (name === "") continue;
    inode = asDirectory(inode) && view.lookup(inode!, name as ByteString);
  }
  return inode;
}

/** A directory that was renamed and renamed back needs no more than another one. */
function isEqual(a: Borrowed["lower"], b: Borrowed["lower"]): boolean {
  return a.length > 0 && a.every((inode, i) => inode !== undefined && inode.nid === b[i]?.nid);
}

function asDirectory(inode: ImageInode | undefined): ImageInode | undefined {
  return inode !== undefined && (inode.mode & S_IFMT) === S_IFDIR ? inode : undefined;
}

function lstat(path: ByteString): BigIntStats {
  return lstatSync(systemPath(path), { bigint: true });
}

/** A path for Node's functions: a Buffer keeps its bytes. */
export function systemPath(path: ByteString): Buffer {
  return Buffer.from(toBytes(path));
}
