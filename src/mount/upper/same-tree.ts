/**
 * Whether two images have the same in a directory: names, attributes and content.
 *
 * @module
 */
import type { ByteString } from "../../bytes/bytestring.ts";
import type { FileContent, Image, ImageInode } from "../../erofs/image.ts";
import { childrenOf, type WalkedFile } from "../../erofs/walk.ts";
import { ImageView } from "../../erofs/view.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../tree/inode.ts";

/** An inode of an image. */
export interface Placed {
  readonly image: Image;
  readonly inode: ImageInode;
}

/** Whether two directories hold the same; their own attributes do not count. */
export function holdSame(a: Placed, b: Placed): boolean {
  const pending: [Placed, Placed][] = [[a, b]];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [left, right] = pair.map(children);
    if (left!.length !== right!.length) return false;
    for (const [i, { path, inode }] of left!.entries()) {
      const other = right![i]!;
      const x = { image: a.image, inode };
      const y = { image: b.image, inode: other.inode };
      if (path !== other.path || !isSameFile(x, y)) return false;
      if (typeOf(inode) === S_IFDIR) pending.push([x, y]);
    }
  }
  return true;
}

/** Whether two regular files have the same content. */
export function isSameContent(a: FileContent, b: FileContent | undefined): boolean {
  if (a.kind === "object") return b?.kind === "object" && a.digest === b.digest;
  return a.kind === "inline" && b?.kind === "inline" && Buffer.compare(a.bytes, b.bytes) === 0;
}

/** Where the bytes of a regular file are; undefined for anything else. */
export function contentOf({ image, inode }: Placed): FileContent | undefined {
  if (typeOf(inode) !== S_IFREG) return undefined;
  const content = image.content(inode);
  return content.kind === "unverifiable" ? undefined : content;
}

/** Paths of the children are their names. */
function children({ image, inode }: Placed): WalkedFile[] {
  return [...childrenOf(new ImageView(image), { path: "" as ByteString, inode })];
}

function isSameFile(a: Placed, b: Placed): boolean {
  const [x, y] = [a.inode, b.inode];
  const isEqual =
    x.mode === y.mode &&
    x.uid === y.uid &&
    x.gid === y.gid &&
    x.rdev === y.rdev &&
    x.mtimeSeconds === y.mtimeSeconds &&
    x.mtimeNanoseconds === y.mtimeNanoseconds &&
    hasSameXattrs(a, b);
  if (!isEqual) return false;
  const content = contentOf(a);
  if (content !== undefined) return isSameContent(content, contentOf(b));
  return typeOf(x) !== S_IFLNK || a.image.target(x) === b.image.target(y);
}

function hasSameXattrs(a: Placed, b: Placed): boolean {
  const [x, y] = [a.image.xattrs(a.inode), b.image.xattrs(b.inode)];
  return x.size === y.size && [...x].every(([key, value]) => y.get(key) === value);
}

const typeOf = ({ mode }: ImageInode) => mode & S_IFMT;
