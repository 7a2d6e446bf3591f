/**
 * The FUSE operations that a read-only image answers: one row each, with name, request, reply and
 * handler. The kernel asks nothing that needs state: nodes are numbered by the image, directories are
 * read by position, and an open file is known by its node.
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import type { Struct } from "../bytes/struct.ts";
import { BLOCK_SIZE } from "../erofs/format.ts";
import { limits } from "../limits.ts";
import { packAttributes } from "./attributes.ts";
import { BODY, type Call, MAX_READ, PAYLOAD } from "./call.ts";
import { EISDIR, ENAMETOOLONG, ENODATA, ENOSYS, ERANGE, EROFS } from "./errno.ts";
import { isDot } from "./directory.ts";
import { type FileSystemSize, type ImageFileSystem, directoryType } from "./filesystem.ts";
import {
  ATTR_OUT_SIZE,
  AttrOut,
  DIRENT_ALIGN,
  Dirent,
  ENTRY_SIZE,
  EntryOut,
  FUSE_ROOT_ID,
  GetxattrIn,
  GetxattrOut,
  OpenFlag,
  OpenOut,
  Opcode,
  ReadIn,
  StatfsOut,
} from "./wire.ts";

// Positions in 4-byte elements: entries and dirents start at multiples of 8.
const entry = {
  nodeid: EntryOut.offsets.nodeid >> 2,
  generation: EntryOut.offsets.generation >> 2,
  entryValid: EntryOut.offsets.entryValid >> 2,
  attrValid: EntryOut.offsets.attrValid >> 2,
  entryValidNsec: EntryOut.offsets.entryValidNsec >> 2,
  attrValidNsec: EntryOut.offsets.attrValidNsec >> 2,
};
const dirent = {
  ino: Dirent.offsets.ino >> 2,
  off: Dirent.offsets.off >> 2,
  namelen: Dirent.offsets.namelen >> 2,
  type: Dirent.offsets.type >> 2,
};

/** What handlers work on. */
export interface Server {
  readonly fs: ImageFileSystem;
}

/** What a handler returns instead of a payload length, for requests that get no reply. */
export const NO_REPLY = Number.NEGATIVE_INFINITY;

/** Bytes of the payload that it has written behind the reply's header, or a negated errno. */
export type Handler<S = Server> = (server: S, call: Call) => number;

/** One row of a table; handlers work on an `S`. */
export interface Operation<S = Server> {
  readonly name: string;
  /** Bytes that the request's body has at least. */
  readonly requestBytes: number;
  readonly handle: Handler<S>;
}

type Body = Struct<unknown> | "name" | "none";

/** A row: what its request holds at least, and who handles it. */
export function operation<S>(name: string, request: Body, handle: Handler<S>): Operation<S> {
  const requestBytes = typeof request === "string" ? (request === "name" ? 2 : 0) : request.size;
  return { name, requestBytes, handle };
}

/** Seconds that the kernel may remember names and attributes: an image never changes. */
const FOREVER = 10n * 365n * 86_400n;
const FOREVER_LOW = Number(BigInt.asUintN(32, FOREVER));
const FOREVER_HIGH = Number(FOREVER >> 32n);
/** The head of `struct fuse_attr_out` of attributes that never change. */
export const attrTemplate = AttrOut.encode({ attrValid: FOREVER, attrValidNsec: 0, dummy: 0 });

/** The image's number of the node that the request is about: the kernel calls the root 1. */
function nidOf({ fs }: Server, call: Call): number {
  const { nodeid } = call;
  return nodeid === FUSE_ROOT_ID ? fs.rootNid : nodeid;
}

function nodeidOf({ fs }: Server, nid: number): number {
  return nid === fs.rootNid ? FUSE_ROOT_ID : nid;
}

/** Writes `struct fuse_entry_out` up to the attributes, at a position in elements. */
export function writeEntryHead(words: Uint32Array, at: number, nodeid: number): void {
  words[at + entry.nodeid] = nodeid;
  words[at + entry.nodeid + 1] = 0;
  words[at + entry.generation] = 0;
  words[at + entry.generation + 1] = 0;
  words[at + entry.entryValid] = FOREVER_LOW;
  words[at + entry.entryValid + 1] = FOREVER_HIGH;
  words[at + entry.attrValid] = FOREVER_LOW;
  words[at + entry.attrValid + 1] = FOREVER_HIGH;
  words[at + entry.entryValidNsec] = 0;
  words[at + entry.attrValidNsec] = 0;
}

function lookup(server: Server, call: Call): number {
  const { fs } = server;
  const at = PAYLOAD >> 2;
  const end = call.nameEnd(0);
  if (end - BODY > limits.nameBytes) return -ENAMETOOLONG;
  const nid = fs.lookup(nidOf(server, call), call.request, BODY, end);
  // Node 0: the kernel remembers that there is none.
  writeEntryHead(call.words, at, nid === 0 ? 0 : nodeidOf(server, nid));
  if (nid === 0) call.words.fill(0, at + (EntryOut.size >> 2), at + (ENTRY_SIZE >> 2));
  else packAttributes(call.words, at + (EntryOut.size >> 2), fs.attributes(nid));
  return ENTRY_SIZE;
}

function getattr(server: Server, call: Call): number {
  call.reply.set(attrTemplate, PAYLOAD);
  const at = (PAYLOAD + AttrOut.size) >> 2;
  packAttributes(call.words, at, server.fs.attributes(nidOf(server, call)));
  return ATTR_OUT_SIZE;
}

function readlink(server: Server, call: Call): number {
  const target = server.fs.target(nidOf(server, call));
  call.reply.set(target, PAYLOAD);
  return target.length;
}

/** Every open looks at the object, also of a file that is in the kernel's cache. */
export function openImageFile(server: Server, call: Call): number {
  const nid = nidOf(server, call);
  if (server.fs.isDirectory(nid)) return -EISDIR;
  if (!server.fs.isKnown(nid)) call.beforeSlow();
  server.fs.prepare(nid);
  return replyOpen(call);
}

/** The answer to OPEN of a file that is read from here, and then stays in the kernel's cache. */
export function replyOpen(call: Call): number {
  OpenOut.encodeInto(call.reply, PAYLOAD, {
    fh: 0n,
    openFlags: OpenFlag.KEEP_CACHE | OpenFlag.NOFLUSH,
    backingId: 0,
  });
  return OpenOut.size;
}

function read(server: Server, call: Call): number {
  const { offset, size } = ReadIn.offsets;
  const length = Math.min(call.u32(size), MAX_READ);
  call.beforeSlow();
  return server.fs.read(nidOf(server, call), call.u64(offset), length, call.reply, PAYLOAD);
}

function readdir(server: Server, call: Call, withAttributes: boolean): number {
  const { fs } = server;
  const entries = fs.entries(nidOf(server, call), call.u64(ReadIn.offsets.offset));
  const end = PAYLOAD + Math.min(call.u32(ReadIn.offsets.size), MAX_READ);
  const { bytes } = fs.inodes;
  const head = withAttributes ? ENTRY_SIZE : 0;
  const { reply, words } = call;
  let at = PAYLOAD;
  while (entries.next()) {
    const { nid, nameAt, nameLength } = entries;
    const used = head + Dirent.size + nameLength;
    const next = at + Math.ceil(used / DIRENT_ALIGN) * DIRENT_ALIGN;
    if (next > end) break;
    if (withAttributes) {
      // Node 0: no attributes, and no count of lookups, which the kernel would not forget.
      const nodeid = isDot(bytes, nameAt, nameLength) ? 0 : nodeidOf(server, nid);
      writeEntryHead(words, at >> 2, nodeid);
      packAttributes(words, (at + EntryOut.size) >> 2, fs.attributes(nid));
    }
    const word = (at + head) >> 2;
    words[word + dirent.ino] = nid;
    words[word + dirent.ino + 1] = 0;
    words[word + dirent.off] = entries.position;
    words[word + dirent.off + 1] = 0;
    words[word + dirent.namelen] = nameLength;
    words[word + dirent.type] = directoryType(entries.fileType);
    words[(next >> 2) - 2] = 0; // the padding, before the name
    words[(next >> 2) - 1] = 0;
    const name = at + head + Dirent.size;
    for (let i = 0; i < nameLength; i++) reply[name + i] = bytes[nameAt + i]!;
    at = next;
  }
  return at - PAYLOAD;
}

function statfs({ fs }: Server, call: Call): number {
  return replyStatfs(call, fs.size());
}

/** The answer to STATFS. */
export function replyStatfs(call: Call, { blocks, files }: FileSystemSize): number {
  StatfsOut.encodeInto(call.reply, PAYLOAD, {
    blocks: BigInt(blocks),
    bfree: 0n, // nothing can be added
    bavail: 0n,
    files: BigInt(files),
    ffree: 0n,
    bsize: BLOCK_SIZE,
    namelen: limits.nameBytes,
    frsize: BLOCK_SIZE,
    padding: 0,
    spare: new Uint8Array(24),
  });
  return StatfsOut.size;
}

function getxattr(server: Server, call: Call): number {
  const end = call.nameEnd(GetxattrIn.size);
  const nid = nidOf(server, call);
  if (server.fs.attributes(nid).xattrIcount === 0) return -ENODATA;
  const name = toByteString(call.request, BODY + GetxattrIn.size, end);
  const value = server.fs.xattrs(nid).get(name);
  return value === undefined ? -ENODATA : replyXattr(call, value);
}

function listxattr(server: Server, call: Call): number {
  let list = "";
  for (const name of server.fs.xattrs(nidOf(server, call)).keys()) {
    // As every kernel file system has it: who may not read trusted attributes does not see them.
    if (call.uid === 0 || !name.startsWith("trusted.")) list += `${name}\0`;
  }
  return replyXattr(call, list as ByteString);
}

/** The value, or only its size when the caller asks for 0 bytes. */
function replyXattr(call: Call, value: ByteString): number {
  const room = call.u32(GetxattrIn.offsets.size);
  if (room === 0) {
    GetxattrOut.encodeInto(call.reply, PAYLOAD, { size: value.length, padding: 0 });
    return GetxattrOut.size;
  }
  if (value.length > room || value.length > MAX_READ) return -ERANGE;
  return call.reply.write(value, PAYLOAD, "latin1");
}

const done: Handler<unknown> = () => 0;
const readOnly: Handler<unknown> = () => -EROFS;
const unanswered: Handler<unknown> = () => NO_REPLY;
/** The kernel does not ask again, and does what is right without. */
export const unsupported: Handler<unknown> = () => -ENOSYS;

/** What every read-only file system without state answers alike. */
export const commonOperations: readonly (readonly [number, Operation<unknown>])[] = [
  [Opcode.FORGET, operation("FORGET", "none", unanswered)],
  [Opcode.BATCH_FORGET, operation("BATCH_FORGET", "none", unanswered)],
  // No FLUSH, no OPENDIR: the kernel learns that with the first, and from then on opens and caches
  // directories by itself.
  [Opcode.FLUSH, operation("FLUSH", "none", unsupported)],
  [Opcode.OPENDIR, operation("OPENDIR", "none", unsupported)],
  [Opcode.RELEASEDIR, operation("RELEASEDIR", "none", done)],
  // Handlers do not wait, so there is nothing to interrupt.
  [Opcode.INTERRUPT, operation("INTERRUPT", "none", unsupported)],
  [Opcode.DESTROY, operation("DESTROY", "none", done)],
  [Opcode.SETATTR, operation("SETATTR", "none", readOnly)],
  [Opcode.SYMLINK, operation("SYMLINK", "none", readOnly)],
  [Opcode.MKNOD, operation("MKNOD", "none", readOnly)],
  [Opcode.MKDIR, operation("MKDIR", "none", readOnly)],
  [Opcode.UNLINK, operation("UNLINK", "none", readOnly)],
  [Opcode.RMDIR, operation("RMDIR", "none", readOnly)],
  [Opcode.RENAME, operation("RENAME", "none", readOnly)],
  [Opcode.RENAME2, operation("RENAME2", "none", readOnly)],
  [Opcode.LINK, operation("LINK", "none", readOnly)],
  [Opcode.WRITE, operation("WRITE", "none", readOnly)],
  [Opcode.SETXATTR, operation("SETXATTR", "none", readOnly)],
  [Opcode.REMOVEXATTR, operation("REMOVEXATTR", "none", readOnly)],
  [Opcode.CREATE, operation("CREATE", "none", readOnly)],
  [Opcode.FALLOCATE, operation("FALLOCATE", "none", readOnly)],
  [Opcode.TMPFILE, operation("TMPFILE", "none", readOnly)],
];

/** Every operation by its opcode; the kernel takes ENOSYS for all others. */
export const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  ...commonOperations,
  [Opcode.LOOKUP, operation("LOOKUP", "name", lookup)],
  [Opcode.GETATTR, operation("GETATTR", "none", getattr)],
  [Opcode.READLINK, operation("READLINK", "none", readlink)],
  [Opcode.OPEN, operation("OPEN", "none", openImageFile)],
  [Opcode.RELEASE, operation("RELEASE", "none", done)],
  [Opcode.READ, operation("READ", ReadIn, read)],
  [Opcode.STATFS, operation("STATFS", "none", statfs)],
  [Opcode.GETXATTR, operation("GETXATTR", GetxattrIn, getxattr)],
  [Opcode.LISTXATTR, operation("LISTXATTR", GetxattrIn, listxattr)],
  [Opcode.READDIR, operation("READDIR", ReadIn, (server, call) => readdir(server, call, false))],
  [
    Opcode.READDIRPLUS,
    operation("READDIRPLUS", ReadIn, (server, call) => readdir(server, call, true)),
  ],
]);
