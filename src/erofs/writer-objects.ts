/**
 * The two attributes that lead from a file to its object. Nearly every file has them, and nearly
 * always with values of its own. Such values do not go through the xattr table, but are written
 * straight from the digest.
 *
 * Spec: docs/image-format.md, "References to objects" and "Xattrs".
 *
 * @module
 */
import { type ByteString, ascii, toBytes, writeBytes } from "../bytes/bytestring.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import type { Inode } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import {
  METACOPY_SHA256,
  METACOPY_SHA512,
  XATTR_FILTER_SEED,
  XattrEntry,
  alignXattr,
} from "./format.ts";
import { doubled } from "./writer-columns.ts";
import { type Nodes, OWNS_OBJECT } from "./writer-nodes.ts";

export const METACOPY = ascii("trusted.overlay.metacopy");
export const REDIRECT = ascii("trusted.overlay.redirect");
const PRIVATE = "trusted.overlay.";
const TRUSTED = 4; // prefix index
const METACOPY_NAME = ascii("overlay.metacopy");
const REDIRECT_NAME = ascii("overlay.redirect");
const SLASH = 0x2f;

/** The bits of both names in the name filter. */
export const OBJECT_FILTER = [METACOPY_NAME, REDIRECT_NAME]
  .map((name) => 1 << (xxh32(name, XATTR_FILTER_SEED + TRUSTED) & 31))
  .reduce((bits, bit) => bits | bit);

/** Both entries up to where the digest and the path start. */
function template(header: Uint8Array) {
  const digestSize = header[1]! - header.length;
  const pathSize = 2 * digestSize + 1;
  const entry = (name: string, valueSize: number) =>
    XattrEntry.encode({ nameLen: name.length, nameIndex: TRUSTED, valueSize });
  const metacopy = [...entry(METACOPY_NAME, header[1]!), ...toBytes(METACOPY_NAME), ...header];
  const redirect = [...entry(REDIRECT_NAME, 1 + pathSize), ...toBytes(REDIRECT_NAME), SLASH];
  const metacopySize = alignXattr(metacopy.length + digestSize);
  return {
    digestSize,
    metacopy: Uint8Array.from(metacopy),
    metacopySize,
    redirect: Uint8Array.from(redirect),
    size: metacopySize + alignXattr(redirect.length + pathSize),
  };
}

const SHA256 = template(METACOPY_SHA256);
const SHA512 = template(METACOPY_SHA512);

const FIRST_ROWS = 1024;

/** The digests of objects, each in a row of bytes. */
export class ObjectTable {
  #template = SHA256;
  #rows = new Uint8Array(FIRST_ROWS * SHA256.digestSize);
  /** The first node that has the digest of each row. */
  #nodes = new Uint32Array(FIRST_ROWS);
  #count = 0;
  /** Rows plus one, by a hash of their digest; 0 is an empty slot. */
  #slots = new Uint32Array(FIRST_ROWS * 2);
  #regular = true;
  /** Random, so that nobody can choose digests that collide; the image does not depend on it. */
  readonly #seed = Math.trunc(Math.random() * 2 ** 32);

  /** Takes the object of an external node. */
  add(nodes: Nodes, node: number): void {
    const inode = nodes.inodes[node]!;
    const { digest } = inode;
    if (!this.#regular || digest === undefined || !inode.followsDigest) {
      this.#regular = false;
      return;
    }
    if (this.#count === 0 && digest.length !== SHA256.digestSize * 2) {
      this.#template = SHA512;
      this.#rows = new Uint8Array(FIRST_ROWS * SHA512.digestSize);
    }
    const { digestSize } = this.#template;
    if (digest.length !== digestSize * 2) {
      this.#regular = false;
      return;
    }
    if (this.#count === this.#nodes.length) this.#grow();
    const row = this.#count;
    writeDigest(digest, this.#rows, row * digestSize);
    const other = this.#place(row);
    if (other >= 0) {
      nodes.flags[this.#nodes[other]!]! &= ~OWNS_OBJECT;
      return;
    }
    this.#count += 1;
    this.#nodes[row] = node;
    nodes.row[node] = row;
    if (!hasPrivate(inode)) nodes.flags[node]! |= OWNS_OBJECT;
  }

  /**
   * Settles which nodes own their object: those whose object no other has. When any object is not
   * where its digest says, no node owns one, since two attributes could then be equal although the
   * digests differ.
   */
  finish({ flags, count }: Nodes): void {
    if (this.#regular) return;
    for (let node = 0; node < count; node++) flags[node]! &= ~OWNS_OBJECT;
  }

  /** Bytes of both entries of a node that owns its object. */
  get entriesSize(): number {
    return this.#template.size;
  }

  /** Writes both entries of the object in `row` at `at`. */
  writeEntries(row: number, out: Uint8Array, at: number): void {
    const { digestSize, metacopy, metacopySize, redirect } = this.#template;
    out.set(metacopy, at);
    out.set(redirect, at + metacopySize);
    let to = at + metacopy.length;
    let path = at + metacopySize + redirect.length;
    const rows = this.#rows;
    for (let i = 0; i < digestSize; i++) {
      const byte = rows[row * digestSize + i]!;
      out[to++] = byte;
      out[path++] = HEX_DIGITS[byte >> 4]!;
      out[path++] = HEX_DIGITS[byte & 15]!;
      if (i === 0) out[path++] = SLASH;
    }
  }

  /** Enters `row` and returns -1, or returns the row that has the same digest. */
  #place(row: number): number {
    const rows = this.#rows;
    const slots = this.#slots;
    const { digestSize } = this.#template;
    const mask = slots.length - 1;
    const at = row * digestSize;
    let slot = this.#hash(at);
    for (slot &= mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot]! - 1;
      let i = 0;
      while (i < digestSize && rows[other * digestSize + i] === rows[at + i]) i++;
      if (i === digestSize) return other;
    }
    slots[slot] = row + 1;
    return -1;
  }

  /** Hashes the whole digest: unlike a real one, a made-up digest is not random. */
  #hash(at: number): number {
    const rows = this.#rows;
    let hash = this.#seed;
    for (let i = at; i < at + this.#template.digestSize; i += 4) {
      const word = rows[i]! | (rows[i + 1]! << 8) | (rows[i + 2]! << 16) | (rows[i + 3]! << 24);
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  #grow(): void {
    this.#nodes = doubled(this.#nodes, Uint32Array);
    this.#rows = doubled(this.#rows, Uint8Array);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let row = 0; row < this.#count; row++) this.#place(row);
  }
}

/** Attributes of overlayfs would have to stand between the two. */
function hasPrivate(inode: Inode): boolean {
  if (inode.xattrs.size > 0) {
    for (const key of inode.xattrs.keys()) if (key.startsWith(PRIVATE)) return true;
  }
  return false;
}

/** The digits of one digest; from bytes they are decoded faster than from a string. */
const digits = new Uint8Array(SHA512.digestSize * 2);

/** Writes the bytes of a digest at `at`. */
export function writeDigest(digest: VerityDigest, out: Uint8Array, at: number): void {
  writeBytes(digest as string as ByteString, digits, 0);
  decodeHex(digits, out, at, digest.length / 2);
}

function decodeHex(hex: Uint8Array, out: Uint8Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    out[at + i] = (hexValue(hex[2 * i]!) << 4) | hexValue(hex[2 * i + 1]!);
  }
}

const hexValue = (code: number) => (code < 0x3a ? code - 0x30 : code - 0x57);
const HEX_DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
