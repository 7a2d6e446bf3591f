/**
 * The files of an image, as records.
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import type { FileContent, Image, ImageInode } from "../erofs/image.ts";
import { ImageView } from "../erofs/view.ts";
import { type WalkedFile, childrenOf, findFile, isDirectory, walkFiles } from "../erofs/walk.ts";
import { formatSeconds } from "./seconds.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../tree/inode.ts";
import { defined } from "../optional.ts";

/** A listed file. Texts are printable: UTF-8, with `\xhh` for other bytes. */
export interface FileRecord {
  readonly path: string;
  readonly type: string;
  /** Permissions in octal, such as `0755`. */
  readonly mode: string;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; a decimal text where a double cannot hold them. */
  readonly size: number | string;
  /** Seconds since 1970 with nine decimals, as text: exact also before 1970 and far from it. */
  readonly mtime: string;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly target?: string;
  readonly content?: FileContent["kind"];
  /** The object's verity digest. */
  readonly digest?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** The files that a listing of `path` shows: of a directory what is in it, with `recursive` all. */
export function* listFiles(
  image: Image,
  path: ByteString,
  recursive = false,
): Generator<WalkedFile, void, undefined> {
  const view = new ImageView(image);
  const start = findFile(view, path);
  if (!isDirectory(start.inode)) yield start;
  else if (recursive) yield* walkFiles(view, start);
  else yield* childrenOf(view, start);
}

const types = new Map([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
  [S_IFSOCK, "socket"],
]);

/** The name of a file's type. */
export const typeOf = ({ mode }: ImageInode): string => types.get(mode & S_IFMT) ?? "unknown";

/** The record of one file. */
export function recordOf(image: Image, { path, inode }: WalkedFile): FileRecord {
  const xattrs = image.xattrs(inode);
  const name = typeOf(inode);
  const content = name === "file" ? image.content(inode) : undefined;
  return defined({
    path: path === "" ? "/" : printable(path),
    type: name,
    mode: (inode.mode & 0o7777).toString(8).padStart(4, "0"),
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(inode.size) : String(inode.size),
    mtime: formatSeconds(inode.mtimeSeconds, inode.mtimeNanoseconds),
    device: name === "character" || name === "block" ? deviceOf(inode) : undefined,
    target: name === "symlink" ? printable(image.target(inode)) : undefined,
    content: content?.kind,
    digest: content?.kind === "object" ? content.digest : undefined,
    xattrs: xattrs.size === 0 ? undefined : textsOf(xattrs),
  });
}

function textsOf(xattrs: ReadonlyMap<ByteString, ByteString>): Record<string, string> {
  return Object.fromEntries([...xattrs].map(([key, value]) => [printable(key), printable(value)]));
}

/** Linux `new_decode_dev`. */
export function deviceOf({ rdev }: ImageInode): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
