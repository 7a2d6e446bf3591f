/**
 * The attributes that overlayfs keeps for itself: how they are told from a file's own, what of
 * them a reader of the mount sees, and the reference to an object (spec: composefs image format,
 * section 4; overlayfs kernel documentation, "Nesting overlayfs mounts" and "fs-verity support").
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { type VerityDigest, objectPath } from "../verity/digest.ts";
import { METACOPY_SHA256, METACOPY_SHA512 } from "./format.ts";

export const METACOPY = ascii("trusted.overlay.metacopy");
export const REDIRECT = ascii("trusted.overlay.redirect");
export const OPAQUE = ascii("trusted.overlay.opaque");

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

/** The attributes of a file as a reader of the mount sees them. */
export function visibleXattrs(
  stored: ReadonlyMap<ByteString, ByteString>,
): Map<ByteString, ByteString> {
  const out = new Map<ByteString, ByteString>();
  for (const [key, value] of stored) {
    if (!isPrivate(key) && visible.test(key)) out.set(unescapeKey(key), value);
  }
  return out;
}

const metacopyHeaders = [METACOPY_SHA256, METACOPY_SHA512].map((header) =>
  String.fromCharCode(...header),
);

/** The digest that a metacopy value carries, or undefined when it is not exactly of a known form. */
export function metacopyDigest(value: ByteString): VerityDigest | undefined {
  // Byte 1 of the header is the length of the whole value.
  if (value.length !== value.charCodeAt(1)) return undefined;
  if (!metacopyHeaders.includes(value.slice(0, 4))) return undefined;
  return hexOf(value.slice(4)) as VerityDigest;
}

/** The only redirect that may stand beside `digest`. */
export function redirectOf(digest: VerityDigest): ByteString {
  return ascii(`/${objectPath(digest)}`);
}

function hexOf(text: string): string {
  if (typeof Buffer !== "undefined") return Buffer.from(text, "latin1").toString("hex");
  return Array.from(text, (unit) => unit.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
