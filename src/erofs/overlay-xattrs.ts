/**
 * The attributes that overlayfs reserves: how they differ from a file's own, what a reader of the
 * mount sees of them, and the reference to an object.
 *
 * Spec: docs/image-format.md, "Rewriting for overlayfs"; overlayfs kernel documentation, "Nesting
 * overlayfs mounts" and "fs-verity support".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";
import { METACOPY_SHA256, METACOPY_SHA512 } from "./format.ts";

export const METACOPY = ascii("trusted.overlay.metacopy");
export const REDIRECT = ascii("trusted.overlay.redirect");
export const OPAQUE = ascii("trusted.overlay.opaque");
/** Of an empty regular file: it is a whiteout of the tree. */
export const ESCAPED_WHITEOUT = ascii("trusted.overlay.overlay.whiteout");

const PRIVATE = "trusted.overlay.";
const ESCAPED = "trusted.overlay.overlay.";

/** True for the keys that overlayfs acts on and shows to nobody. */
export function isPrivate(key: ByteString): boolean {
  return key.startsWith(PRIVATE) && !key.startsWith(ESCAPED);
}

/** The key as a reader of the mount sees it: an escaped one loses one level. */
export function unescapeKey(key: ByteString): ByteString {
  return key.startsWith(ESCAPED) ? ((PRIVATE + key.slice(ESCAPED.length)) as ByteString) : key;
}

// EROFS has handlers for these names alone; the kernel neither lists nor reads any other.
const visible = /^(?:(?:user|trusted|security)\.[^]|system\.posix_acl_(?:access|default)$)/;

/** Whether the kernel shows an attribute of this name. */
export function isShown(key: ByteString): boolean {
  return visible.test(key);
}

/** The attributes of a file as a reader of the mount sees them. */
export function visibleXattrs(
  stored: ReadonlyMap<ByteString, ByteString>,
): Map<ByteString, ByteString> {
  const out = new Map<ByteString, ByteString>();
  for (const [key, value] of stored) {
    if (!isPrivate(key) && isShown(key)) out.set(unescapeKey(key), value);
  }
  return out;
}

const HEADER_LENGTH = METACOPY_SHA256.length;
const metacopyHeaders = [METACOPY_SHA256, METACOPY_SHA512].map((header) =>
  String.fromCharCode(...header),
);

/**
 * The digest that a metacopy value carries, or undefined when it is not exactly of a known form.
 */
export function metacopyDigest(value: ByteString): VerityDigest | undefined {
  return hasDigest(value) ? (hexOf(value.slice(HEADER_LENGTH)) as VerityDigest) : undefined;
}

/** Whether a metacopy value holds a digest of a known form. */
export function hasDigest(value: ByteString): boolean {
  // Byte 1 of the header is the length of the whole value.
  if (value.length !== value.charCodeAt(1)) return false;
  return metacopyHeaders.some((header) => value.startsWith(header));
}

/** The only redirect that may stand beside `digest`. */
export function redirectOf(digest: VerityDigest): ByteString {
  return ascii(`/${objectPath(digest)}`);
}

/**
 * Whether `redirect` is {@link redirectOf} the digest in `metacopy`, compared without making
 * either.
 */
export function isRedirectTo(redirect: ByteString, metacopy: ByteString): boolean {
  const digestSize = metacopy.length - HEADER_LENGTH;
  if (redirect.length !== 2 + 2 * digestSize) return false; // two slashes
  if (redirect.charCodeAt(0) !== SLASH || redirect.charCodeAt(3) !== SLASH) return false;
  for (let i = 0, at = 1; i < digestSize; i++, at += 2) {
    const byte = metacopy.charCodeAt(HEADER_LENGTH + i);
    if (redirect.charCodeAt(at) !== HEX.charCodeAt(byte >> 4)) return false;
    if (redirect.charCodeAt(at + 1) !== HEX.charCodeAt(byte & 15)) return false;
    if (i === 0) at += 1; // the slash behind the directory
  }
  return true;
}

const SLASH = 0x2f;
const HEX = "0123456789abcdef";

function hexOf(text: string): string {
  if (typeof Buffer !== "undefined") return Buffer.from(text, "latin1").toString("hex");
  return Array.from(text, (unit) => unit.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
