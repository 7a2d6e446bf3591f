/**
 * Where two trees differ, in the order of a walk: directories before what they hold, names in
 * byte order. Inodes are compared by everything that an image keeps of them, and hard links by
 * which names share an inode.
 *
 * @module
 */
import { type ByteString, ascii, compareBytes, printable } from "../bytes/bytestring.ts";
import {
  type Directory,
  type Entry,
  Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  inodeOf,
  isDirectory,
  typeOf,
} from "./inode.ts";

/** One difference, in words for both sides. */
export interface TreeDifference {
  /** From the root on, without a leading slash; empty for the root. */
  readonly path: ByteString;
  /** What differs: `entry`, `type`, `mode`, `owner`, `mtime`, `xattr user.x`, and so on. */
  readonly what: string;
  readonly left: string;
  readonly right: string;
}

/** Two directories at one path, and the position of the walk in them. */
interface Level {
  readonly path: ByteString;
  readonly left: Directory;
  readonly right: Directory;
  readonly names: readonly ByteString[];
  next: number;
}

/** Every difference. A directory that only one side has is not compared further. */
export function* treeDifferences(left: Directory, right: Directory): Generator<TreeDifference> {
  // The name under which an inode was met first identifies it.
  const firstLeft = new Map<Inode, ByteString>();
  const firstRight = new Map<Inode, ByteString>();
  for (const fields of compareInodes(left, right)) yield { path: ascii(""), ...fields };
  const stack: Level[] = [enter(ascii(""), left, right)];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names[level.next++];
    if (name === undefined) {
      stack.pop();
      continue;
    }
    const path = level.path === "" ? name : ascii(`${level.path}/${name}`);
    const a = level.left.entries.get(name);
    const b = level.right.entries.get(name);
    if (a === undefined || b === undefined) {
      yield { path, what: "entry", left: describeEntry(a), right: describeEntry(b) };
      continue;
    }
    const x = inodeOf(a);
    const y = inodeOf(b);
    const links = compareLinks(firstName(firstLeft, x, path), firstName(firstRight, y, path));
    if (links !== undefined) yield { path, ...links };
    for (const fields of compareInodes(x, y)) yield { path, ...fields };
    // A second name of a directory (a broken image may have one) is not walked again.
    if (isDirectory(a) && isDirectory(b)) stack.push(enter(path, a, b));
  }
}

function enter(path: ByteString, left: Directory, right: Directory): Level {
  const names = new Set([...left.entries.keys(), ...right.entries.keys()]);
  return { path, left, right, names: [...names].sort(compareBytes), next: 0 };
}

function firstName(seen: Map<Inode, ByteString>, inode: Inode, path: ByteString): ByteString {
  const first = seen.get(inode);
  if (first === undefined) seen.set(inode, path);
  return first ?? path;
}

type Fields = Omit<TreeDifference, "path">;

function compareLinks(left: ByteString, right: ByteString): Fields | undefined {
  if (left === right) return undefined;
  const describe = (first: ByteString) => `the inode of ${printable(first)}`;
  return { what: "hard link", left: describe(left), right: describe(right) };
}

function* compareInodes(a: Inode, b: Inode): Generator<Fields> {
  for (const [what, describe] of fields) {
    const left = describe(a);
    const right = describe(b);
    if (left === right) continue;
    yield { what, left, right };
    if (what === "type") return; // the rest differs with it
  }
  const content = compareContent(a, b);
  if (content !== undefined) yield content;
  yield* compareXattrs(a, b);
}

const typeNames = new Map([
  [S_IFREG, "a file"],
  [S_IFDIR, "a directory"],
  [S_IFLNK, "a symlink"],
  [S_IFCHR, "a character device"],
  [S_IFBLK, "a block device"],
  [S_IFIFO, "a fifo"],
  [S_IFSOCK, "a socket"],
]);

const fields: readonly (readonly [string, (inode: Inode) => string])[] = [
  ["type", (inode) => typeNames.get(typeOf(inode)) ?? "an unknown type"],
  ["mode", (inode) => `0${(inode.mode & 0o7777).toString(8)}`],
  ["owner", (inode) => `${inode.uid}:${inode.gid}`],
  ["mtime", (inode) => `${inode.mtimeSeconds}.${String(inode.mtimeNanoseconds).padStart(9, "0")}`],
  ["device", (inode) => String(inode.rdev)],
  ["target", (inode) => (inode.target === undefined ? "none" : printable(inode.target))],
  ["size", (inode) => String(typeOf(inode) === S_IFREG ? inode.size : 0)],
  ["digest", (inode) => inode.digest ?? "none"],
  ["nlink", (inode) => (isDirectory(inode) ? "" : String(inode.nlink))],
];

function compareContent(a: Inode, b: Inode): Fields | undefined {
  const left = a.content;
  const right = b.content;
  const describe = (content: Uint8Array | undefined) =>
    content === undefined ? "none inline" : `${content.length} bytes inline`;
  if (left?.length !== right?.length || left?.some((byte, index) => byte !== right![index])) {
    return { what: "content", left: describe(left), right: describe(right) };
  }
  return undefined;
}

function* compareXattrs(a: Inode, b: Inode): Generator<Fields> {
  const keys = new Set([...a.xattrs.keys(), ...b.xattrs.keys()]);
  for (const key of [...keys].sort(compareBytes)) {
    const left = a.xattrs.get(key);
    const right = b.xattrs.get(key);
    if (left === right) continue;
    const describe = (value: ByteString | undefined) =>
      value === undefined ? "none" : `"${printable(value)}"`;
    yield { what: `xattr ${printable(key)}`, left: describe(left), right: describe(right) };
  }
}

function describeEntry(entry: Entry | undefined): string {
  if (entry === undefined) return "nothing";
  return typeNames.get(typeOf(inodeOf(entry))) ?? "an unknown type";
}
