/**
 * Payloads of replies that several operations have: entries, attributes, opens, sizes, xattrs.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { BLOCK_SIZE } from "../erofs/format.ts";
import { limits } from "../limits.ts";
import { type Attributes, packAttributes } from "./attributes.ts";
import { ATTRIBUTE_TIMEOUT_SECONDS, ENTRY_TIMEOUT_SECONDS } from "./cache-lifetimes.ts";
import { type Call, MAX_READ, PAYLOAD, PAYLOAD_WORD } from "./call.ts";
import { ERANGE } from "./errno.ts";
import type { FileSystemSize } from "./image-file-system.ts";
import {
  ATTR_OUT_SIZE,
  AttrOut,
  ENTRY_SIZE,
  EntryOut,
  GetxattrIn,
  GetxattrOut,
  OpenFlag,
  OpenOut,
  StatfsOut,
} from "./wire.ts";

// Positions in 4-byte elements: entries start at multiples of 8.
const entry = {
  nodeid: EntryOut.offsets.nodeid >> 2,
  generation: EntryOut.offsets.generation >> 2,
  entryValid: EntryOut.offsets.entryValid >> 2,
  attrValid: EntryOut.offsets.attrValid >> 2,
  entryValidNsec: EntryOut.offsets.entryValidNsec >> 2,
  attrValidNsec: EntryOut.offsets.attrValidNsec >> 2,
};
const ENTRY_ATTRIBUTES = EntryOut.size >> 2;
const ENTRY_END = ENTRY_SIZE >> 2;
const ATTRIBUTES_WORD = PAYLOAD_WORD + (AttrOut.size >> 2);

const attrHead = AttrOut.encode({
  attrValid: BigInt(ATTRIBUTE_TIMEOUT_SECONDS),
  attrValidNsec: 0,
  dummy: 0,
});

/**
 * Writes `struct fuse_entry_out` at `at`, a position in 4-byte elements of the reply. Without
 * attributes nothing but zeros stand in their place.
 */
export function writeEntry(
  words: Uint32Array,
  at: number,
  nodeid: number,
  attributes: Attributes | undefined,
): void {
  words[at + entry.nodeid] = nodeid;
  words[at + entry.nodeid + 1] = 0;
  words[at + entry.generation] = 0;
  words[at + entry.generation + 1] = 0;
  words[at + entry.entryValid] = ENTRY_TIMEOUT_SECONDS; // both fit into 32 bits
  words[at + entry.entryValid + 1] = 0;
  words[at + entry.attrValid] = ATTRIBUTE_TIMEOUT_SECONDS;
  words[at + entry.attrValid + 1] = 0;
  words[at + entry.entryValidNsec] = 0;
  words[at + entry.attrValidNsec] = 0;
  if (attributes === undefined) words.fill(0, at + ENTRY_ATTRIBUTES, at + ENTRY_END);
  else packAttributes(words, at + ENTRY_ATTRIBUTES, attributes);
}

/** The answer to LOOKUP of a name that leads to `nodeid`. */
export function replyEntry(call: Call, nodeid: number, attributes: Attributes): number {
  writeEntry(call.words, PAYLOAD_WORD, nodeid, attributes);
  return ENTRY_SIZE;
}

/** The answer to LOOKUP of a name that does not exist: node 0, which the kernel remembers too. */
export function replyNoEntry(call: Call): number {
  writeEntry(call.words, PAYLOAD_WORD, 0, undefined);
  return ENTRY_SIZE;
}

/** The answer to GETATTR. */
export function replyAttributes(call: Call, attributes: Attributes): number {
  call.reply.set(attrHead, PAYLOAD);
  packAttributes(call.words, ATTRIBUTES_WORD, attributes);
  return ATTR_OUT_SIZE;
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

const NO_BYTES = new Uint8Array(0);

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
    spare: NO_BYTES,
  });
  return StatfsOut.size;
}

/** The answer to GETXATTR and LISTXATTR: the value, or only its size when 0 bytes are asked for. */
export function replyXattr(call: Call, value: ByteString): number {
  const room = call.u32(GetxattrIn.offsets.size);
  if (room === 0) {
    GetxattrOut.encodeInto(call.reply, PAYLOAD, { size: value.length, padding: 0 });
    return GetxattrOut.size;
  }
  if (value.length > room || value.length > MAX_READ) return -ERANGE;
  return call.reply.write(value, PAYLOAD, "latin1");
}
