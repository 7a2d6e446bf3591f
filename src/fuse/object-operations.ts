/**
 * The FUSE operations of the objects file system: an overlay looks objects up by their digests and
 * reads them, and nothing else is there. It stands in for the `objects/` directory of a store, with
 * every block compared with the digest before it is given out.
 *
 * @module
 */
import { S_IFDIR, S_IFREG } from "../tree/inode.ts";
import { Attributes } from "./attributes.ts";
import { BODY, type Call, MAX_READ, PAYLOAD } from "./call.ts";
import { commonOperations, unsupported } from "./common-operations.ts";
import { EISDIR, ENOENT } from "./errno.ts";
import type { ListedObject, ObjectTable } from "./object-table.ts";
import type { ObjectFile, ObjectReader } from "./object-reader.ts";
import { type Operations, operation, operationTable } from "./operation.ts";
import { type WithBacking, withPassthrough } from "./passthrough.ts";
import { readBlocks } from "./read-blocks.ts";
import { replyAttributes, replyEntry, replyNoEntry, replyOpen, replyStatfs } from "./replies.ts";
import type { Problem } from "./session.ts";
import { ReadIn } from "./wire.ts";

/** What handlers work on. */
export interface ObjectsContext extends WithBacking {
  readonly table: ObjectTable;
  readonly reader: ObjectReader;
}

const DIRECTORY_MODE = S_IFDIR | 0o555;
const FILE_MODE = S_IFREG | 0o444;
/** Links of a directory: its name, and its own `.`. */
const DIRECTORY_LINKS = 2;

const attributes = new Attributes();

/** The attributes of a node, in a record that the next call fills again; undefined for none. */
function attributesOf({ table }: ObjectsContext, node: number): Attributes | undefined {
  const object = table.at(node);
  if (object === undefined && !table.isDirectory(node)) return undefined;
  attributes.nid = node;
  attributes.mode = object === undefined ? DIRECTORY_MODE : FILE_MODE;
  attributes.nlink = object === undefined ? DIRECTORY_LINKS : 1;
  attributes.size = object?.size ?? 0;
  return attributes;
}

function lookup(context: ObjectsContext, call: Call): number {
  const node = context.table.find(call.nodeid, call.request, BODY, call.nameEnd(0));
  const found = node === 0 ? undefined : attributesOf(context, node);
  return found === undefined ? replyNoEntry(call) : replyEntry(call, node, found);
}

function getattr(context: ObjectsContext, call: Call): number {
  const found = attributesOf(context, call.nodeid);
  return found === undefined ? -ENOENT : replyAttributes(call, found);
}

function read(context: ObjectsContext, call: Call): number {
  const { nodeid } = call;
  const object = context.table.at(nodeid);
  if (object === undefined) return -ENOENT;
  const { offset, size } = ReadIn.offsets;
  const length = Math.min(call.u32(size), MAX_READ);
  call.beforeSlow();
  const file = fileOf(nodeid, object);
  const at = call.u64(offset);
  return readBlocks(context.reader, file, at, length, call.reply, PAYLOAD);
}

/** Named by its node: leaves are shared under this number. */
function fileOf(nid: number, { digest, size }: ListedObject): ObjectFile {
  return { nid, digest, size };
}

/** A problem as the log tells it: about a file of the image, not about a node of ours. */
export function inImage(problem: Problem, table: ObjectTable): Problem {
  return { ...problem, nodeid: table.at(problem.nodeid)?.nid ?? problem.nodeid };
}

function statfs({ table }: ObjectsContext, call: Call): number {
  return replyStatfs(call, { blocks: 0, files: table.count });
}

/** Names are not listed: an overlay that needs an object knows its digest. */
const list = (): number => 0;

const rows = [
  ...commonOperations,
  // No OPEN: the kernel learns that with the first one, and from then on opens files by itself, which
  // makes those in its cache as fast as any of its own. Objects are opened and looked at whenever
  // something is read that the cache does not have.
  operation("OPEN", "none", unsupported),
  operation("LOOKUP", "name", lookup),
  operation("GETATTR", "none", getattr),
  operation("READ", ReadIn, read),
  operation("STATFS", "none", statfs),
  operation("READDIR", ReadIn, list),
  operation("READDIRPLUS", ReadIn, list),
];

/** Every operation of an objects file system; it has no xattrs. */
export const objectOperations: Operations<ObjectsContext> = operationTable<ObjectsContext>(rows);

/** The same with passthrough: then every open is asked for. */
export const backedObjectOperations = withPassthrough<ObjectsContext>(
  objectOperations,
  ({ table }, { nodeid }) => {
    const object = table.at(nodeid);
    return object === undefined ? undefined : fileOf(nodeid, object);
  },
  ({ table }, call) => (table.at(call.nodeid) === undefined ? -EISDIR : replyOpen(call)),
);
