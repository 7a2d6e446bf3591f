/**
 * The FUSE operations of an image. The kernel asks nothing that needs state: nodes are numbered by
 * the image, directories are read by position, and an open file is known by its node.
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { limits } from "../limits.ts";
import { BODY, type Call, MAX_READ, PAYLOAD } from "./call.ts";
import { commonOperations, done } from "./common-operations.ts";
import { isDot } from "./directory.ts";
import { EISDIR, ENAMETOOLONG, ENODATA } from "./errno.ts";
import { type ImageFileSystem, directoryType } from "./image-file-system.ts";
import { type Operations, operation, operationTable } from "./operation.ts";
import { type WithBacking, withPassthrough } from "./passthrough.ts";
import {
  replyAttributes,
  replyEntry,
  replyNoEntry,
  replyOpen,
  replyStatfs,
  replyXattr,
  writeEntry,
} from "./replies.ts";
import { DIRENT_ALIGN, Dirent, ENTRY_SIZE, FUSE_ROOT_ID, GetxattrIn, ReadIn } from "./wire.ts";

/** What handlers work on. */
export interface ImageContext extends WithBacking {
  readonly fs: ImageFileSystem;
}

// Positions in 4-byte elements: dirents start at multiples of 8.
const dirent = {
  ino: Dirent.offsets.ino >> 2,
  off: Dirent.offsets.off >> 2,
  namelen: Dirent.offsets.namelen >> 2,
  type: Dirent.offsets.type >> 2,
};

/** The image's number of the node that the request is about: the kernel calls the root 1. */
function nidOf({ fs }: ImageContext, call: Call): number {
  const { nodeid } = call;
  return nodeid === FUSE_ROOT_ID ? fs.rootNid : nodeid;
}

function nodeidOf({ fs }: ImageContext, nid: number): number {
  return nid === fs.rootNid ? FUSE_ROOT_ID : nid;
}

function lookup(context: ImageContext, call: Call): number {
  const { fs } = context;
  const end = call.nameEnd(0);
  if (end - BODY > limits.nameBytes) return -ENAMETOOLONG;
  const nid = fs.lookup(nidOf(context, call), call.request, BODY, end);
  return nid === 0
    ? replyNoEntry(call)
    : replyEntry(call, nodeidOf(context, nid), fs.attributes(nid));
}

function getattr(context: ImageContext, call: Call): number {
  return replyAttributes(call, context.fs.attributes(nidOf(context, call)));
}

function readlink(context: ImageContext, call: Call): number {
  const target = context.fs.target(nidOf(context, call));
  call.reply.set(target, PAYLOAD);
  return target.length;
}

/** Every open checks the object, also of a file that is in the kernel's cache. */
function open(context: ImageContext, call: Call): number {
  const nid = nidOf(context, call);
  if (context.fs.isDirectory(nid)) return -EISDIR;
  if (!context.fs.isKnown(nid)) call.beforeSlow();
  context.fs.prepare(nid);
  return replyOpen(call);
}

function read(context: ImageContext, call: Call): number {
  const { offset, size } = ReadIn.offsets;
  const length = Math.min(call.u32(size), MAX_READ);
  call.beforeSlow();
  return context.fs.read(nidOf(context, call), call.u64(offset), length, call.reply, PAYLOAD);
}

const readdir = (context: ImageContext, call: Call) => list(context, call, false);
const readdirplus = (context: ImageContext, call: Call) => list(context, call, true);

function list(context: ImageContext, call: Call, withAttributes: boolean): number {
  const { fs } = context;
  const entries = fs.entries(nidOf(context, call), call.u64(ReadIn.offsets.offset));
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
      const nodeid = isDot(bytes, nameAt, nameLength) ? 0 : nodeidOf(context, nid);
      writeEntry(words, at >> 2, nodeid, fs.attributes(nid));
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

function getxattr(context: ImageContext, call: Call): number {
  const end = call.nameEnd(GetxattrIn.size);
  const nid = nidOf(context, call);
  if (context.fs.attributes(nid).xattrIcount === 0) return -ENODATA;
  const name = toByteString(call.request, BODY + GetxattrIn.size, end);
  const value = context.fs.xattrs(nid).get(name);
  return value === undefined ? -ENODATA : replyXattr(call, value);
}

function listxattr(context: ImageContext, call: Call): number {
  let list = "";
  for (const name of context.fs.xattrs(nidOf(context, call)).keys()) {
    // As every kernel file system has it: a process that may not read trusted attributes does not
    // see them.
    if (call.uid === 0 || !name.startsWith("trusted.")) list += `${name}\0`;
  }
  return replyXattr(call, list as ByteString);
}

const rows = [
  ...commonOperations,
  operation("LOOKUP", "name", lookup),
  operation("GETATTR", "none", getattr),
  operation("READLINK", "none", readlink),
  operation("OPEN", "none", open),
  operation("RELEASE", "none", done),
  operation("READ", ReadIn, read),
  operation("STATFS", "none", ({ fs }: ImageContext, call) => replyStatfs(call, fs.size())),
  operation("GETXATTR", GetxattrIn, getxattr),
  operation("LISTXATTR", GetxattrIn, listxattr),
  operation("READDIR", ReadIn, readdir),
  operation("READDIRPLUS", ReadIn, readdirplus),
];

/** Every operation of an image. */
export const imageOperations: Operations<ImageContext> = operationTable<ImageContext>(rows);

/** The same with passthrough. */
export const backedImageOperations = withPassthrough<ImageContext>(
  imageOperations,
  (context, call) => {
    const nid = nidOf(context, call);
    return context.fs.isDirectory(nid) ? undefined : context.fs.objectOf(nid);
  },
  open,
);
