/**
 * One request and the reply being made to it: views of the two buffers that a thread uses again
 * and again.
 *
 * @module
 */
import { InHeader, OutHeader } from "./wire.ts";

/** The largest payload of a reply: the `max_read` that the mount is given. */
export const MAX_READ = 128 * 1024;
/** The largest request: no write requests come, so a few names or a batch of FORGETs. */
export const REQUEST_BYTES = 64 * 1024;

const header = InHeader.offsets;
/** Where a request's own fields start, and a reply's. */
export const BODY = InHeader.size;
export const PAYLOAD = OutHeader.size;
/** The latter in elements of {@link Call.words}. */
export const PAYLOAD_WORD = PAYLOAD >> 2;

/** The request at hand. */
export class Call {
  readonly request = Buffer.alloc(REQUEST_BYTES);
  readonly reply = Buffer.from(new ArrayBuffer(PAYLOAD + MAX_READ));
  /** The reply's bytes in elements of 4, for what is written most. */
  readonly words = new Uint32Array(
    this.reply.buffer,
    this.reply.byteOffset,
    this.reply.length >> 2,
  );
  /** The same for everything else. */
  readonly out = new DataView(this.reply.buffer, this.reply.byteOffset, this.reply.length);
  readonly #in = new DataView(this.request.buffer, this.request.byteOffset, this.request.length);
  /** Bytes of the request. */
  length = 0;
  /** Handlers call it before they read, hash, or wait for a disk: other threads go on meanwhile. */
  beforeSlow: () => void = () => undefined;

  get opcode(): number {
    return this.#in.getUint32(header.opcode, true);
  }

  /** The node that the request is about, as the kernel numbers it. */
  get nodeid(): number {
    return this.u64(header.nodeid - BODY);
  }

  get uid(): number {
    return this.#in.getUint32(header.uid, true);
  }

  /** A field of the request's body. */
  u32(offset: number): number {
    return this.#in.getUint32(BODY + offset, true);
  }

  /** A field of the request's body; what exceeds 2^53 loses its low bits, and means nothing here. */
  u64(offset: number): number {
    const at = BODY + offset;
    return this.#in.getUint32(at, true) + this.#in.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  /** Where the name at `offset` of the body ends: before its NUL. */
  nameEnd(offset: number): number {
    const end = this.request.indexOf(0, BODY + offset);
    return end < 0 || end > this.length ? this.length : end;
  }

  /** Heads the reply; returns its length. */
  finish(error: number, payload: number): number {
    const length = PAYLOAD + payload;
    this.out.setUint32(0, length, true);
    this.out.setInt32(4, error, true);
    this.request.copy(this.reply, 8, header.unique, header.unique + 8);
    return length;
  }
}
