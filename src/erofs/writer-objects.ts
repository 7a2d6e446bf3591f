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
import type { Node } from "./writer-nodes.ts";

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
export function markOwnObjects(nodes: readonly Node[]): void {
  const seen = new DigestSet(nodes.length);
  for (const node of nodes) {
    if (!node.external) continue;
    const { digest, payload } = node.inode;
    if (digest === undefined || payload === undefined || !leadsTo(payload, digest)) {
      for (const other of nodes) other.ownsObject = false;
      return;
    }
    const other = seen.add(digest, node);
    if (other === undefined) node.ownsObject = !hasPrivate(node.inode);
    else other.ownsObject = false;
  }
}

/** The first node of each digest. Digests are random: their first digits serve as their hash. */
class DigestSet {
  readonly #slots: (Node | undefined)[];
  readonly #mask: number;

  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(capacity + 1) + 1);
    this.#slots = Array.from({ length: size });
    this.#mask = size - 1;
  }

  /** Adds a node unless one with the same digest is there, which is returned then. */
  add(digest: VerityDigest, node: Node): Node | undefined {
    let slot = 0;
    for (let i = 0; i < 7; i++) slot = slot * 16 + hexValue(digest.charCodeAt(i));
    for (slot &= this.#mask; ; slot = (slot + 1) & this.#mask) {
      const other = this.#slots[slot];
      if (other === undefined) break;
      if (other.inode.digest === digest) return other;
    }
    this.#slots[slot] = node;
    return undefined;
  }
}

/** Whether `payload` is the digest with a slash behind two digits. */
function leadsTo(payload: string, digest: VerityDigest): boolean {
  return (
    payload.length === digest.length + 1 &&
    payload.charCodeAt(2) === 0x2f &&
    payload.startsWith(digest.slice(0, 2)) &&
    payload.slice(3) === digest.slice(2)
  );
}

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
