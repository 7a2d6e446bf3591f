/**
 * The kernel's side of FUSE, in memory: requests are built, answered by a session, and the answers
 * taken apart.
 *
 * @module
 */
import { type ByteString, toByteString, toBytes } from "../../src/bytes/bytestring.ts";
import { Image } from "../../src/erofs/image.ts";
import { ImageFileSystem } from "../../src/fuse/image-file-system.ts";
import { type ObjectPlace, ObjectReader } from "../../src/fuse/object-reader.ts";
import { type ImageContext, imageOperations } from "../../src/fuse/image-operations.ts";
import type { Operations } from "../../src/fuse/operation.ts";
import { type Problem, Session } from "../../src/fuse/session.ts";
import { SharedLeaves } from "../../src/fuse/shared-leaves.ts";
import {
  Attr,
  AttrOut,
  Dirent,
  ENTRY_SIZE,
  EntryOut,
  GetxattrIn,
  GetxattrOut,
  InHeader,
  Opcode,
  OutHeader,
  ReadIn,
  StatfsOut,
} from "../../src/fuse/wire.ts";

/** An errno that a request was answered with. */
export class Errno extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

export interface Entry {
  readonly nodeid: number;
  readonly attributes: ReturnType<typeof Attr.decode>;
}

export interface ListedEntry {
  readonly name: ByteString;
  readonly ino: number;
  readonly type: number;
  readonly position: number;
  /** With READDIRPLUS. */
  readonly entry: Entry | undefined;
}

export const ROOT = 1;

/** A file system without a mount. */
export class SessionClient<S> {
  readonly session: Session<S>;
  readonly context: S;
  readonly problems: Problem[] = [];
  #unique = 0n;

  constructor(operations: Operations<S>, context: S) {
    this.context = context;
    this.session = new Session(operations, context, (problem) => this.problems.push(problem));
  }

  /** Sends raw bytes after a header; undefined when there is no answer at all. */
  send(opcode: number, nodeid: number, body: Uint8Array, uid = 0): Uint8Array | undefined {
    const { request, reply } = this.session.call;
    const length = InHeader.size + body.length;
    this.#unique += 1n;
    InHeader.encodeInto(request, 0, {
      len: length,
      opcode,
      unique: this.#unique,
      nodeid: BigInt(nodeid),
      uid,
      gid: uid,
      pid: 1,
      totalExtlen: 0,
      padding: 0,
    });
    request.set(body, InHeader.size);
    const size = this.session.answer(length);
    if (size === 0) return undefined;
    const header = OutHeader.decode(reply);
    if (header.unique !== this.#unique || header.len !== size) throw new Error("wrong header");
    if (header.error !== 0) {
      if (size !== OutHeader.size) throw new Error("an error with a payload");
      throw new Errno(-header.error);
    }
    return Uint8Array.from(reply.subarray(OutHeader.size, size));
  }

  #ask(opcode: number, nodeid: number, body: Uint8Array = new Uint8Array(0), uid = 0): Uint8Array {
    const answer = this.send(opcode, nodeid, body, uid);
    if (answer === undefined) throw new Error("no answer");
    return answer;
  }

  /** @throws {@link Errno} 2 when the kernel would remember that there is no such name */
  lookup(parent: number, name: ByteString): Entry {
    const entry = decodeEntry(this.#ask(Opcode.LOOKUP, parent, cString(name)), 0);
    if (entry.nodeid === 0) throw new Errno(2);
    return entry;
  }

  getattr(nodeid: number): ReturnType<typeof Attr.decode> {
    const answer = this.#ask(Opcode.GETATTR, nodeid, new Uint8Array(16));
    return Attr.decode(answer, AttrOut.size);
  }

  readlink(nodeid: number): ByteString {
    return toByteString(this.#ask(Opcode.READLINK, nodeid));
  }

  open(nodeid: number): void {
    this.#ask(Opcode.OPEN, nodeid, new Uint8Array(8));
  }

  read(nodeid: number, offset: number, size: number): Uint8Array {
    return this.#ask(Opcode.READ, nodeid, readIn(offset, size));
  }

  /** A whole file, in requests of `chunk` bytes. */
  readAll(nodeid: number, chunk = 128 * 1024): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let offset = 0; ;) {
      const part = this.read(nodeid, offset, chunk);
      if (part.length === 0) return Buffer.concat(parts);
      parts.push(part);
      offset += part.length;
    }
  }

  /** One answer of READDIR, or of READDIRPLUS. */
  readdir(nodeid: number, position: number, size = 4096, plus = false): ListedEntry[] {
    const opcode = plus ? Opcode.READDIRPLUS : Opcode.READDIR;
    const answer = this.#ask(opcode, nodeid, readIn(position, size));
    if (answer.length > size) throw new Error("more than asked for");
    const head = plus ? ENTRY_SIZE : 0;
    const out: ListedEntry[] = [];
    for (let at = 0; at < answer.length;) {
      const { ino, off, namelen, type } = Dirent.decode(answer, at + head);
      const start = at + head + Dirent.size;
      out.push({
        name: toByteString(answer, start, start + namelen),
        ino: Number(ino),
        type,
        position: Number(off),
        entry: plus ? decodeEntry(answer, at) : undefined,
      });
      at = start + namelen + ((8 - ((start + namelen) % 8)) % 8);
    }
    return out;
  }

  /** A whole directory. */
  list(nodeid: number, size = 4096, plus = false): ListedEntry[] {
    const all: ListedEntry[] = [];
    for (;;) {
      const some = this.readdir(nodeid, all.at(-1)?.position ?? 0, size, plus);
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  xattrs(nodeid: number, uid = 0): Map<ByteString, ByteString> {
    const size = this.#sizeOf(Opcode.LISTXATTR, nodeid, "" as ByteString, uid);
    const out = new Map<ByteString, ByteString>();
    if (size === 0) return out;
    const list = this.#ask(Opcode.LISTXATTR, nodeid, getxattrIn(size), uid);
    for (const name of toByteString(list).split("\0").slice(0, -1) as ByteString[]) {
      out.set(name, this.getxattr(nodeid, name));
    }
    return out;
  }

  getxattr(nodeid: number, name: ByteString, room?: number): ByteString {
    const size = room ?? this.#sizeOf(Opcode.GETXATTR, nodeid, name, 0);
    if (size === 0) return "" as ByteString;
    return toByteString(this.#ask(Opcode.GETXATTR, nodeid, getxattrIn(size, name)));
  }

  #sizeOf(opcode: number, nodeid: number, name: ByteString, uid: number): number {
    return GetxattrOut.decode(this.#ask(opcode, nodeid, getxattrIn(0, name), uid)).size;
  }

  statfs(): ReturnType<typeof StatfsOut.decode> {
    return StatfsOut.decode(this.#ask(Opcode.STATFS, ROOT));
  }
}

/** An image without a mount. */
export class FuseClient extends SessionClient<ImageContext> {
  readonly fs: ImageFileSystem;

  constructor(
    bytes: Uint8Array,
    places: readonly ObjectPlace[] = [],
    options: { leaves?: SharedLeaves } = {},
  ) {
    const leaves = options.leaves ?? SharedLeaves.create(100, 1 << 20);
    const fs = new ImageFileSystem(Image.open(bytes), new ObjectReader(places, leaves));
    super(imageOperations, { fs });
    this.fs = fs;
  }
}

function decodeEntry(bytes: Uint8Array, at: number): Entry {
  return {
    nodeid: Number(EntryOut.decode(bytes, at).nodeid),
    attributes: Attr.decode(bytes, at + EntryOut.size),
  };
}

export function readIn(offset: number, size: number): Uint8Array {
  return ReadIn.encode({
    fh: 0n,
    offset: BigInt(offset),
    size,
    readFlags: 0,
    lockOwner: 0n,
    flags: 0,
    padding: 0,
  });
}

function getxattrIn(size: number, name?: ByteString): Uint8Array {
  const head = GetxattrIn.encode({ size, padding: 0 });
  return name === undefined ? head : Buffer.concat([head, cString(name)]);
}

function cString(name: ByteString): Uint8Array {
  return toBytes(`${name}\0` as ByteString);
}
