/**
 * The FUSE operations of the objects file system: an overlay looks objects up by their digests and
 * reads them, and nothing else is there. It stands in for the `objects/` directory of a store, with
 * every block compared with the digest before it is given out.
 *
 * @module
 */
import { S_IFDIR, S_IFREG } from "../tree/inode.ts";
import { Attributes, packAttributes } from "./attributes.ts";
import { BODY, type Call, MAX_READ, PAYLOAD } from "./call.ts";
import { EISDIR, ENOENT } from "./errno.ts";
import type { ListedObject, ObjectTable } from "./object-table.ts";
import type { ObjectFile, ObjectReader } from "./object-reader.ts";
import {
  type Operation,
  attrTemplate,
  commonOperations,
  operation,
  replyOpen,
  replyStatfs,
  unsupported,
  writeEntryHead,
} from "./operations.ts";
import { type WithBacking, withPassthrough } from "./passthrough.ts";
import { readBlocks } from "./read-blocks.ts";
import type { Problem } from "./session.ts";
import { ATTR_OUT_SIZE, AttrOut, ENTRY_SIZE, EntryOut, Opcode, ReadIn } from "./wire.ts";

/** What handlers work on. */
export interface ObjectServer extends WithBacking {
  readonly table: ObjectTable;
  readonly reader: ObjectReader;
}

const attributes = new Attributes();

/** The attributes of a node, in a record that the next call fills again; undefined for none. */
function attributesOf({ table }: ObjectServer, node: number): Attributes | undefined {
  const object = table.at(node);
  if (object === undefined && !table.isDirectory(node)) return undefined;
  attributes.nid = node;
  attributes.mode = object === undefined ? S_IFDIR | 0o555 : S_IFREG | 0o444;
  attributes.nlink = object === undefined ? 2 : 1;
  attributes.size = object?.size ?? 0;
  return attributes;
}

function lookup(server: ObjectServer, call: Call): number {
  const at = PAYLOAD >> 2;
  const node = server.table.find(call.nodeid, call.request, BODY, call.nameEnd(0));
  writeEntryHead(call.words, at, node);
  const found = node === 0 ? undefined : attributesOf(server, node);
  if (found === undefined) call.words.fill(0, at + (EntryOut.size >> 2), at + (ENTRY_SIZE >> 2));
  else packAttributes(call.words, at + (EntryOut.size >> 2), found);
  return ENTRY_SIZE;
}

function getattr(server: ObjectServer, call: Call): number {
  const found = attributesOf(server, call.nodeid);
  if (found === undefined) return -ENOENT;
  call.reply.set(attrTemplate, PAYLOAD);
  packAttributes(call.words, (PAYLOAD + AttrOut.size) >> 2, found);
  return ATTR_OUT_SIZE;
}

function read(server: ObjectServer, call: Call): number {
  const { nodeid } = call;
  const object = server.table.at(nodeid);
  if (object === undefined) return -ENOENT;
  const { offset, size } = ReadIn.offsets;
  const length = Math.min(call.u32(size), MAX_READ);
  call.beforeSlow();
  const file = fileOf(nodeid, object);
  const at = call.u64(offset);
  return readBlocks(server.reader, file, at, length, call.reply, PAYLOAD);
}

/** Named by its node: leaves are shared under this number. */
function fileOf(nid: number, { digest, size }: ListedObject): ObjectFile {
  return { nid, digest, size };
}

/** A problem as the log tells it: about a file of the image, not about a node of ours. */
export function inImage(problem: Problem, table: ObjectTable): Problem {
  return { ...problem, nodeid: table.at(problem.nodeid)?.nid ?? problem.nodeid };
}

/** Names are not listed: who needs an object knows its digest. */
const readdir = (): number => 0;

/**
 * Every operation by its opcode; the kernel takes ENOSYS for all others, such as xattrs.
 *
 * There is no OPEN: the kernel learns that with the first one, and from then on opens files by itself,
 * which makes those in its cache as fast as any of its own. Objects are opened and looked at whenever
 * something is read that the cache does not have.
 */
export const objectOperations: ReadonlyMap<number, Operation<ObjectServer>> = new Map<
  number,
  Operation<ObjectServer>
>([
  ...commonOperations,
  [Opcode.OPEN, operation("OPEN", "none", unsupported)],
  [Opcode.LOOKUP, operation("LOOKUP", "name", lookup)],
  [Opcode.GETATTR, operation("GETATTR", "none", getattr)],
  [Opcode.READ, operation("READ", ReadIn, read)],
  [
    Opcode.STATFS,
    operation("STATFS", "none", ({ table }: ObjectServer, call) =>
      replyStatfs(call, { blocks: 0, files: table.count }),
    ),
  ],
  [Opcode.READDIR, operation("READDIR", ReadIn, readdir)],
  [Opcode.READDIRPLUS, operation("READDIRPLUS", ReadIn, readdir)],
]);

/** The same with passthrough: then every open is asked for. */
export const backedObjectOperations = withPassthrough<ObjectServer>(
  objectOperations,
  ({ table }, { nodeid }) => {
    const object = table.at(nodeid);
    return object === undefined ? undefined : fileOf(nodeid, object);
  },
  ({ table }, call) => (table.at(call.nodeid) === undefined ? -EISDIR : replyOpen(call)),
);
