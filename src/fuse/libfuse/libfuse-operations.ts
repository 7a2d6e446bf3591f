/**
 * The operations of an image as libfuse asks for them: one row each, with name, request and handler.
 * Files are named by paths, and what fuse-native wants for an answer is returned.
 *
 * @module
 */
import { fromText, toBytes } from "../../bytes/bytestring.ts";
import { BLOCK_SIZE } from "../../erofs/format.ts";
import { limits } from "../../limits.ts";
import { type Attributes, SECTOR_BYTES } from "../attributes.ts";
import type { Counters } from "../counters.ts";
import { EISDIR, ENODATA, ERANGE } from "../errno.ts";
import type { ImageFileSystem } from "../image-file-system.ts";
import type { Opcode } from "../wire.ts";
import type { FuseOperations, FuseStat, XattrValue } from "./fuse-native.ts";

/** What handlers work on. */
export interface LibfuseContext {
  readonly fs: ImageFileSystem;
  readonly counters: Counters;
}

/** What fuse-native passes for an operation between the path and the function that takes the answer. */
export type RequestOf<Name extends keyof FuseOperations> =
  Parameters<FuseOperations[Name]> extends [string, ...infer Request, (...answer: never) => void]
    ? Request
    : never;

/** What that function takes: a negated errno, or 0 (for READ, the number of bytes) and values. */
export type AnswerOf<Name extends keyof FuseOperations> =
  Parameters<FuseOperations[Name]> extends [...unknown[], (...answer: infer Answer) => void]
    ? Answer
    : never;

/** One row. What it throws becomes EIO, or waits for content. */
export interface LibfuseOperation<Name extends keyof FuseOperations> {
  /** The request by which it is counted and named in the log. */
  readonly request: keyof typeof Opcode;
  /** The answer about the node of the path. */
  handle(context: LibfuseContext, nid: number, ...request: RequestOf<Name>): AnswerOf<Name>;
}

/** One row of an operation that is not about a file; it is neither looked up nor counted. */
export interface LibfuseReply<Name extends keyof FuseOperations> {
  reply(context: LibfuseContext): AnswerOf<Name>;
}

/** Every operation, by fuse-native's name for it. */
export const libfuseOperations: {
  readonly [Name in keyof FuseOperations]: LibfuseOperation<Name> | LibfuseReply<Name>;
} = {
  getattr: { request: "GETATTR", handle: ({ fs }, nid) => [0, statOf(fs.attributes(nid))] },
  readdir: { request: "READDIR", handle: ({ fs }, nid) => [0, ...list(fs, nid)] },
  readlink: { request: "READLINK", handle: ({ fs }, nid) => [0, textOf(fs.target(nid))] },
  open: { request: "OPEN", handle: ({ fs }, nid) => open(fs, nid) },
  read: {
    request: "READ",
    handle({ fs, counters }, nid, _handle, out, length, offset) {
      const bytes = fs.read(nid, offset, length, out, 0);
      counters.gave(bytes);
      return [bytes];
    },
  },
  release: { reply: () => [0] },
  statfs: { reply: ({ fs }) => statfs(fs) },
  getxattr: { request: "GETXATTR", handle: ({ fs }, nid, name) => getxattr(fs, nid, name) },
  listxattr: {
    request: "LISTXATTR",
    handle: ({ fs }, nid) => [0, [...fs.xattrs(nid).keys()].map((name) => textOf(toBytes(name)))],
  },
};

/** Names are text for fuse-native: bytes that are not UTF-8 are lost. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

function list(fs: ImageFileSystem, nid: number): [names: string[], stats: FuseStat[]] {
  const names: string[] = [];
  const nids: number[] = [];
  for (const cursor = fs.entries(nid, 0); cursor.next();) {
    const { nameAt, nameLength } = cursor;
    names.push(textOf(fs.image.bytes.subarray(nameAt, nameAt + nameLength)));
    nids.push(cursor.nid);
  }
  return [names, nids.map((child) => statOf(fs.attributes(child)))];
}

function open(fs: ImageFileSystem, nid: number): AnswerOf<"open"> {
  if (fs.isDirectory(nid)) return [-EISDIR];
  fs.prepare(nid);
  return [0, 0];
}

function statfs(fs: ImageFileSystem): AnswerOf<"statfs"> {
  const sizes = { bsize: BLOCK_SIZE, frsize: BLOCK_SIZE, namemax: limits.nameBytes };
  return [0, { ...sizes, ...fs.size() }];
}

function getxattr(fs: ImageFileSystem, nid: number, name: string): AnswerOf<"getxattr"> {
  const value = fs.xattrs(nid).get(fromText(name));
  return value === undefined ? [-ENODATA] : [0, new Value(toBytes(value))];
}

/** An xattr's value; where there is too little room for it, its length is an error number. */
class Value implements XattrValue {
  readonly #bytes: Uint8Array;
  length: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  /** Only here fuse-native tells how much room there is; none means that the size is asked for. */
  copy(room: Uint8Array): void {
    if (room.length === 0) return;
    if (room.length < this.#bytes.length) this.length = -ERANGE;
    else room.set(this.#bytes);
  }
}

const MS_PER_S = 1000;
const NS_PER_MS = 1_000_000;

function statOf(inode: Attributes): FuseStat {
  const seconds = (inode.mtimeHigh | 0) * 2 ** 32 + inode.mtimeLow;
  // fuse-native counts unsigned milliseconds.
  const ms = Math.max(0, seconds * MS_PER_S + Math.floor(inode.mtimeNanoseconds / NS_PER_MS));
  return {
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    size: inode.size,
    ino: inode.nid,
    blksize: BLOCK_SIZE,
    blocks: Math.ceil(inode.size / SECTOR_BYTES),
    atime: ms,
    mtime: ms,
    ctime: ms,
  };
}
