/**
 * FUSE_INIT: what kernel and server agree on before the first request.
 *
 * @module
 */
import { readSync, writeSync } from "node:fs";
import { SystemError } from "../errors.ts";
import { BODY, MAX_READ, PAYLOAD, REQUEST_BYTES } from "./call.ts";
import { EPROTO } from "./errno.ts";
import {
  FUSE_MAJOR,
  FUSE_MINOR,
  FUSE_MINOR_LEAST,
  InHeader,
  InitFlag,
  InitFlag2,
  InitIn,
  InitOut,
  Opcode,
  OutHeader,
} from "./wire.ts";

/** What the answer to INIT depends on. */
export interface InitOptions {
  /** The kernel enforces POSIX ACLs: needed when the image has any, a cost when not. */
  readonly acls: boolean;
  /** Files may be backed by others, on file systems that are stacked less high than this. */
  readonly passthrough?: StackDepth | undefined;
  /** Owners may be shown as other users. */
  readonly idmapped?: boolean;
  /** Bytes that the kernel reads ahead; more was slower. */
  readonly maxReadahead?: number;
}

/** How high a file system with backing files counts in a stack: 2 lets no overlay be put on top. */
export type StackDepth = 1 | 2;

/** Bytes read ahead: the kernel's own default, and the fastest. */
const MAX_READAHEAD = 128 * 1024;
const PAGE_BYTES = 4096;
/** No write request ever comes, but the kernel wants room for one page. */
const MAX_WRITE = PAGE_BYTES;
/** Background requests, such as readahead; from the threshold on the kernel sends fewer. */
const MAX_BACKGROUND = 16;
const CONGESTION_THRESHOLD = 12;

const wanted =
  InitFlag.ASYNC_READ |
  InitFlag.EXPORT_SUPPORT |
  InitFlag.DO_READDIRPLUS |
  InitFlag.READDIRPLUS_AUTO |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.MAX_PAGES |
  InitFlag.CACHE_SYMLINKS |
  InitFlag.NO_OPENDIR_SUPPORT;

/**
 * Answers the first requests of a new connection, until both sides agree.
 *
 * @throws {@link SystemError} as {@link answerInit}
 */
export function negotiate(fd: number, options: InitOptions): void {
  const request = Buffer.alloc(REQUEST_BYTES);
  for (;;) {
    const length = readSync(fd, request, 0, REQUEST_BYTES, null);
    try {
      const { reply, again } = answerInit(request.subarray(0, length), options);
      writeSync(fd, reply);
      if (!again) return;
    } catch (error) {
      writeSync(fd, refuseInit(request));
      throw error;
    }
  }
}

/** The answer to the first request of a connection, and whether the connection goes on. */
export interface InitReply {
  readonly reply: Uint8Array;
  /** The kernel has a newer major version and asks again with ours. */
  readonly again: boolean;
}

/**
 * Answers the request in `request`.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel speaks a version that is too old,
 *   `NO_PASSTHROUGH` or `NO_IDMAP` when it cannot do these; the caller ends the connection
 */
export function answerInit(request: Uint8Array, options: InitOptions): InitReply {
  const header = InHeader.decode(request);
  if (header.opcode !== Opcode.INIT) {
    throw new SystemError("NO_FUSE", `first FUSE request: expected INIT, got ${header.opcode}`);
  }
  const offer = InitIn.decode(request, BODY);
  if (offer.major < FUSE_MAJOR || (offer.major === FUSE_MAJOR && offer.minor < FUSE_MINOR_LEAST)) {
    throw new SystemError(
      "NO_FUSE",
      `kernel FUSE interface: expected ${FUSE_MAJOR}.${FUSE_MINOR_LEAST} or later, got ${offer.major}.${offer.minor}`,
      { hint: "Linux 5.4 or later is needed" },
    );
  }
  const flags2 = secondFlags(request, offer.flags, options);
  const flags =
    wanted | (options.acls ? InitFlag.POSIX_ACL : 0) | (flags2 === 0 ? 0 : InitFlag.INIT_EXT);
  const reply = new Uint8Array(PAYLOAD + InitOut.size);
  OutHeader.encodeInto(reply, 0, { len: reply.length, error: 0, unique: header.unique });
  InitOut.encodeInto(reply, PAYLOAD, {
    major: FUSE_MAJOR,
    minor: FUSE_MINOR,
    maxReadahead: Math.min(offer.maxReadahead, options.maxReadahead ?? MAX_READAHEAD),
    flags: offer.flags & flags,
    maxBackground: MAX_BACKGROUND,
    congestionThreshold: CONGESTION_THRESHOLD,
    maxWrite: MAX_WRITE,
    timeGran: 1, // nanosecond
    maxPages: MAX_READ / PAGE_BYTES,
    mapAlignment: 0,
    flags2,
    maxStackDepth: options.passthrough ?? 0,
    unused: new Uint8Array(0),
  });
  return { reply, again: offer.major > FUSE_MAJOR };
}

/** The flags of the second word that are wanted: all of them must be there. */
function secondFlags(request: Uint8Array, flags: number, options: InitOptions): number {
  const at = BODY + InitIn.size;
  const isLong = (flags & InitFlag.INIT_EXT) !== 0 && request.length >= at + 4;
  const { buffer, byteOffset } = request;
  const offered = isLong ? new DataView(buffer, byteOffset).getUint32(at, true) : 0;
  let result = 0;
  if (options.passthrough !== undefined) {
    if ((offered & InitFlag2.PASSTHROUGH) === 0) {
      throw new SystemError("NO_PASSTHROUGH", "FUSE passthrough: the kernel does not offer it");
    }
    result |= InitFlag2.PASSTHROUGH;
  }
  if (options.idmapped === true) {
    if ((offered & InitFlag2.ALLOW_IDMAP) === 0) {
      throw new SystemError("NO_IDMAP", "owners shown as other users: not by this kernel's FUSE", {
        hint: "Linux 6.12 or later is needed",
      });
    }
    result |= InitFlag2.ALLOW_IDMAP;
  }
  return result;
}

/** The refusal that ends a connection which cannot be served. */
export function refuseInit(request: Uint8Array): Uint8Array {
  const { unique } = InHeader.decode(request);
  return OutHeader.encode({ len: OutHeader.size, error: -EPROTO, unique });
}
