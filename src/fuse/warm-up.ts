/**
 * Practice before the first real request: a thread asks itself for names and attributes, so that
 * its code is compiled when a user comes. Nothing is opened.
 *
 * @module
 */
import { BODY, PAYLOAD } from "./call.ts";
import type { Session } from "./session.ts";
import {
  DIRENT_ALIGN,
  Dirent,
  ENTRY_SIZE,
  EntryOut,
  FUSE_ROOT_ID,
  InHeader,
  Opcode,
  ReadIn,
} from "./wire.ts";

/** A session over any table. */
type Practising = Pick<Session<never>, "call" | "answer">;

const DIRECTORY_TYPE = 4;
const LISTING_BYTES = 32 * 1024;

/** Practises for at most `budgetMs`; before {@link Session} serves anybody. */
export function warmUp(session: Practising, budgetMs: number): void {
  const end = performance.now() + budgetMs;
  const directories = [FUSE_ROOT_ID];
  for (let nodeid = directories.pop(); nodeid !== undefined; nodeid = directories.pop()) {
    if (performance.now() > end) return;
    const listing = list(session, nodeid);
    const view = new DataView(listing.buffer, listing.byteOffset, listing.byteLength);
    for (let at = 0; at + ENTRY_SIZE < listing.length;) {
      const dirent = at + ENTRY_SIZE;
      const child = view.getUint32(at + EntryOut.offsets.nodeid, true);
      const length = view.getUint32(dirent + Dirent.offsets.namelen, true);
      const isDirectory = view.getUint32(dirent + Dirent.offsets.type, true) === DIRECTORY_TYPE;
      if (child !== 0 && isDirectory) directories.push(child);
      const name = dirent + Dirent.size;
      lookup(session, nodeid, listing.subarray(name, name + length));
      at = name + Math.ceil(length / DIRENT_ALIGN) * DIRENT_ALIGN;
    }
  }
}

function list(session: Practising, nodeid: number): Uint8Array {
  ReadIn.encodeInto(session.call.request, BODY, {
    fh: 0n,
    offset: 0n,
    size: LISTING_BYTES,
    readFlags: 0,
    lockOwner: 0n,
    flags: 0,
    padding: 0,
  });
  return ask(session, Opcode.READDIRPLUS, nodeid, ReadIn.size);
}

function lookup(session: Practising, nodeid: number, name: Uint8Array): void {
  session.call.request.set(name, BODY);
  session.call.request[BODY + name.length] = 0;
  ask(session, Opcode.LOOKUP, nodeid, name.length + 1);
}

/** The payload of the answer, copied. */
function ask(session: Practising, opcode: number, nodeid: number, bodyLength: number): Uint8Array {
  const { request, reply } = session.call;
  const length = InHeader.size + bodyLength;
  request.writeUInt32LE(length, InHeader.offsets.len);
  request.writeUInt32LE(opcode, InHeader.offsets.opcode);
  request.writeUInt32LE(nodeid, InHeader.offsets.nodeid);
  request.writeUInt32LE(0, InHeader.offsets.nodeid + 4);
  return Uint8Array.from(reply.subarray(PAYLOAD, session.answer(length)));
}
