/**
 * The two attributes that lead from a file to its object. Nearly every file has them, and nearly
 * always with values of its own: those are not collected in the xattr table but written straight
 * from the digest.
 *
 * Spec: composefs image format, section 4, rule 3, and section 6.
 *
 * @module
 */
import { type ByteString, ascii, toBytes, writeBytes } from "../bytes/bytestring.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import type { Inode } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/digest.ts";
import { METACOPY_SHA256, METACOPY_SHA512, XATTR_FILTER_SEED, XattrEntry } from "./format.ts";
import { EXTERNAL, type Nodes, OWNS_OBJECT } from "./writer-nodes.ts";

export const METACOPY = ascii("trusted.overlay.metacopy");
export const REDIRECT = ascii("trusted.overlay.redirect");
const PRIVATE = "trusted.overlay.";
const TRUSTED = 4; // prefix index
const METACOPY_NAME = ascii("overlay.metacopy");
const REDIRECT_NAME = ascii("overlay.redirect");

/** The bits of both names in the name filter. */
export const OBJECT_FILTER = [METACOPY_NAME, REDIRECT_NAME]
  .map((name) => 1 << (xxh32(name, XATTR_FILTER_SEED + TRUSTED) & 31))
  .reduce((bits, bit) => bits | bit);

const roundUp4 = (value: number) => (value + 3) & ~3;

/**
 * Marks the files whose object no other file has: they hold their two attributes themselves. Any
 * object that is not where its digest says turns this off for all, since two attributes could then
 * be equal although the digests differ.
 */
export function markOwnObjects({ inodes, flags, count }: Nodes): void {
  const seen = new DigestSet(inodes);
  for (let node = 0; node < count; node++) {
    if ((flags[node]! & EXTERNAL) === 0) continue;
    const inode = inodes[node]!;
    if (!inode.followsDigest) {
      for (let other = 0; other < node; other++) flags[other]! &= ~OWNS_OBJECT;
      return;
    }
    const other = seen.add(inode.digest!, node);
    if (other >= 0) flags[other]! &= ~OWNS_OBJECT;
    else if (!hasPrivate(inode)) flags[node]! |= OWNS_OBJECT;
  }
}

/** The first node of each digest. Digests are random: their first digits serve as their hash. */
class DigestSet {
  readonly #inodes: readonly Inode[];
  /** Nodes plus one; 0 is an empty slot. */
  readonly #slots: Uint32Array;

  constructor(inodes: readonly Inode[]) {
    this.#inodes = inodes;
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(inodes.length + 1) + 1));
  }

  /** Adds a node unless one with the same digest is there, which is returned then; or -1. */
  add(digest: VerityDigest, node: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = 0;
    for (let i = 0; i < HASH_DIGITS; i++) slot = slot * 16 + hexValue(digest.charCodeAt(i));
    for (slot &= mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot]! - 1;
      if (this.#inodes[other]!.digest === digest) return other;
    }
    slots[slot] = node + 1;
    return -1;
  }
}

const HASH_DIGITS = 7;

/** Attributes of overlayfs would have to stand between the two. */
function hasPrivate(inode: Inode): boolean {
  if (inode.xattrs.size > 0) {
    for (const key of inode.xattrs.keys()) if (key.startsWith(PRIVATE)) return true;
  }
  return false;
}

/** Both entries up to where the digest and the path start. */
function template(header: Uint8Array) {
  const entry = (name: string, valueSize: number) =>
    XattrEntry.encode({ nameLen: name.length, nameIndex: TRUSTED, valueSize });
  const digestSize = header[1]! - header.length;
  const metacopy = [...entry(METACOPY_NAME, header[1]!), ...toBytes(METACOPY_NAME), ...header];
  const pathSize = 2 * digestSize + 1;
  const redirect = [...entry(REDIRECT_NAME, 1 + pathSize), ...toBytes(REDIRECT_NAME), 0x2f];
  const metacopySize = roundUp4(metacopy.length + digestSize);
  return {
    digestSize,
    metacopy: Uint8Array.from(metacopy),
    metacopySize,
    redirect: Uint8Array.from(redirect),
    size: metacopySize + roundUp4(redirect.length + pathSize),
  };
}

const SHA256 = template(METACOPY_SHA256);
const SHA512 = template(METACOPY_SHA512);
const templateOf = (digest: VerityDigest) => (digest.length === 64 ? SHA256 : SHA512);

/** Bytes of both entries of a file that owns its object. */
export function objectEntriesSize(inode: Inode): number {
  return templateOf(inode.digest!).size;
}

/** Writes both entries at `at`. */
export function writeObjectEntries(inode: Inode, out: Uint8Array, at: number): void {
  const digest = inode.digest!;
  const { metacopy, metacopySize, redirect } = templateOf(digest);
  out.set(metacopy, at);
  out.set(redirect, at + metacopySize);
  // The path is the digest with a slash behind two digits; from there its bytes are decoded.
  const path = at + metacopySize + redirect.length;
  writeBytes(digest as string as ByteString, out, path + 1);
  out[path] = out[path + 1]!;
  out[path + 1] = out[path + 2]!;
  out[path + 2] = 0x2f;
  let to = at + metacopy.length;
  out[to++] = (hexValue(out[path]!) << 4) | hexValue(out[path + 1]!);
  for (let i = path + 3; i < path + 1 + digest.length; i += 2) {
    out[to++] = (hexValue(out[i]!) << 4) | hexValue(out[i + 1]!);
  }
}

/** Writes the bytes of a digest at `at`. */
export function writeDigest(digest: VerityDigest, out: Uint8Array, at: number): void {
  for (let i = 0; i < digest.length; i += 2) {
    out[at + (i >> 1)] = (hexValue(digest.charCodeAt(i)) << 4) | hexValue(digest.charCodeAt(i + 1));
  }
}

const hexValue = (code: number) => (code < 0x3a ? code - 0x30 : code - 0x57);
