/**
 * The two attributes that lead from a file to its object. Nearly every file has them, and nearly
 * always with values of its own: those are not collected in the xattr table but written straight
 * from the digest.
 *
 * Spec: composefs image format, section 4, rule 3, and section 6.
 *
 * @module
 */
import { ascii, toBytes, writeBytes } from "../bytes/bytestring.ts";
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
  const first = new Map<VerityDigest, Node>();
  for (const node of nodes) {
    if (!node.external) continue;
    const { digest, payload } = node.inode;
    if (digest === undefined || payload === undefined || !leadsTo(payload, digest)) {
      for (const other of nodes) other.ownsObject = false;
      return;
    }
    const other = first.get(digest);
    if (other === undefined) {
      first.set(digest, node);
      node.ownsObject = !hasPrivate(node.inode);
    } else other.ownsObject = false;
  }
}

/** Whether `payload` is the digest with a slash behind two digits. */
function leadsTo(payload: string, digest: VerityDigest): boolean {
  if (payload.length !== digest.length + 1 || payload.charCodeAt(2) !== 0x2f) return false;
  if (payload.charCodeAt(0) !== digest.charCodeAt(0)) return false;
  if (payload.charCodeAt(1) !== digest.charCodeAt(1)) return false;
  for (let i = 2; i < digest.length; i++) {
    if (payload.charCodeAt(i + 1) !== digest.charCodeAt(i)) return false;
  }
  return true;
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
  writeDigest(digest, out, at + metacopy.length);
  out.set(redirect, at + metacopySize);
  writeBytes(inode.payload!, out, at + metacopySize + redirect.length);
}

/** Writes the bytes of a digest at `at`. */
export function writeDigest(digest: VerityDigest, out: Uint8Array, at: number): void {
  for (let i = 0; i < digest.length; i += 2) {
    out[at + (i >> 1)] = (hexValue(digest.charCodeAt(i)) << 4) | hexValue(digest.charCodeAt(i + 1));
  }
}

const hexValue = (code: number) => (code < 0x3a ? code - 0x30 : code - 0x57);
