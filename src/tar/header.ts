/**
 * One 512-byte tar header block: POSIX ustar, GNU (`ustar  `), or the plain header of Unix v7.
 *
 * Spec: docs/profiles.md, "Header blocks"; POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar
 * manual, "Basic Tar Format".
 *
 * @module
 */
import { type ByteString, ascii, printable, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { checkUnused, parseBits, parseNumber, parseOctal, parseSeconds } from "./number.ts";

/** Headers and content are padded to blocks of this many bytes. */
export const BLOCK_SIZE = 512;

/** Field positions: offset and width. */
const MODE = 100;
const UID = 108;
const GID = 116;
const SIZE = 124;
const MTIME = 136;
const CHECKSUM = 148;
const TYPE = 156;
const LINK = 157;
const MAGIC = 257;
const DEVICE_MAJOR = 329;
const DEVICE_MINOR = 337;
const PREFIX = 345;
const PREFIX_END = 500;
/** Star's shorter prefix, and what comes behind it. */
const STAR_PREFIX_END = 476;
const STAR_ATIME = 476;
const STAR_CTIME = 488;
const STAR_TRAILER = 508;
/** In GNU headers, of old sparse files: their map and their size. */
const GNU_MAP = 386;
const GNU_REAL_SIZE = 483;

/** Which of the three layouts a header has; any other magic is as good as none. */
export type HeaderFormat = "v7" | "ustar" | "gnu";

const NUL = 0;

/** Whether the block at `at` is all zeros: half of the end marker. */
export function isZeroBlock(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < at + BLOCK_SIZE; i++) if (bytes[i] !== NUL) return false;
  return true;
}

/** @throws {@link FormatError} `BAD_CHECKSUM`, `MALFORMED` */
export function verifyChecksum(bytes: Uint8Array, at: number): void {
  const stored = parseOctal(bytes, at + CHECKSUM, 8, "checksum");
  let sum = sumOf(bytes, at) + 8 * 0x20; // the checksum field itself counts as spaces
  for (let i = at + CHECKSUM; i < at + CHECKSUM + 8; i++) sum -= bytes[i]!;
  if (stored === sum) return;
  // Some old writers summed signed bytes.
  let high = 0;
  for (let i = at; i < at + BLOCK_SIZE; i++) if (bytes[i]! >= 0x80) high++;
  if (stored === sum - 256 * high) return;
  throw new FormatError(
    "BAD_CHECKSUM",
    `checksum: expected 0${sum.toString(8)}, got 0${stored.toString(8)}`,
  );
}

// Four bytes at a time in two lanes of 16 bits, which hold 128 * 2 * 255.
function sumOf(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_SIZE);
  let lanes = 0;
  for (let i = 0; i < BLOCK_SIZE; i += 4) {
    const word = view.getUint32(i, true) | 0;
    lanes = (lanes + (word & 0xff00ff) + ((word >>> 8) & 0xff00ff)) | 0;
  }
  return (lanes & 0xffff) + (lanes >>> 16);
}

export function formatOf(bytes: Uint8Array, at: number): HeaderFormat {
  const magic = toByteString(bytes, at + MAGIC, at + MAGIC + 8);
  if (magic.startsWith("ustar\0")) return "ustar";
  return magic === "ustar  \0" ? "gnu" : "v7";
}

export function typeFlagOf(bytes: Uint8Array, at: number): number {
  return bytes[at + TYPE]!;
}

/** The name in the header, with the ustar prefix; for messages too, so it never throws. */
export function nameOf(bytes: Uint8Array, at: number, format: HeaderFormat): ByteString {
  const name = textAt(bytes, at, MODE);
  if (format !== "ustar" || bytes[at + PREFIX] === NUL) return name;
  return ascii(`${textAt(bytes, at + PREFIX, PREFIX_END - PREFIX)}/${name}`);
}

/**
 * Tools agree about the prefix of a ustar header that ends before star's would. In other headers some
 * take these bytes for a prefix, and some do not; that matters where the header's name `counts`.
 *
 * @throws {@link FormatError} `AMBIGUOUS`, `MALFORMED`
 */
export function checkPrefix(
  bytes: Uint8Array,
  at: number,
  format: HeaderFormat,
  counts: boolean,
): void {
  if (format !== "ustar") {
    if (!counts || bytes[at + PREFIX] === NUL) return;
    const found = printable(textAt(bytes, at + PREFIX, PREFIX_END - PREFIX));
    throw new FormatError(
      "AMBIGUOUS",
      `prefix: expected none without the magic "ustar", got "${found}"`,
    );
  }
  const star = toByteString(bytes, at + STAR_TRAILER, at + STAR_TRAILER + 4) === "tar\0";
  if (!star) return;
  if (textAt(bytes, at + PREFIX, STAR_PREFIX_END - PREFIX).length === STAR_PREFIX_END - PREFIX) {
    throw new FormatError(
      "AMBIGUOUS",
      "prefix: expected at most 130 bytes in a star header, got more",
    );
  }
  parseSeconds(bytes, at + STAR_ATIME, 12, "atime");
  parseSeconds(bytes, at + STAR_CTIME, 12, "ctime");
}

/**
 * Bsdtar reads a regular file with these fields as a sparse one, whatever its type flag says.
 *
 * @throws {@link FormatError} `AMBIGUOUS`
 */
export function checkGnuFields(bytes: Uint8Array, at: number): void {
  if (bytes[at + GNU_MAP] === NUL && bytes[at + GNU_REAL_SIZE] === NUL) return;
  throw new FormatError("AMBIGUOUS", "sparse map: expected none in a GNU header, got one");
}

/** Whether the name in the header, by itself, ends with a slash. */
export function hasSlash(bytes: Uint8Array, at: number): boolean {
  return textAt(bytes, at, MODE).endsWith("/");
}

export function linkOf(bytes: Uint8Array, at: number): ByteString {
  return textAt(bytes, at + LINK, MAGIC - LINK);
}

/** Bytes of content, according to the header. */
export function sizeOf(bytes: Uint8Array, at: number): number {
  return parseNumber(bytes, at + SIZE, 12, "size", Number.MAX_SAFE_INTEGER);
}

/** The permission bits of the header's mode. */
export function modeOf(bytes: Uint8Array, at: number): number {
  return parseBits(bytes, at + MODE, 8, "mode", 12);
}

export function uidOf(bytes: Uint8Array, at: number): number {
  return parseNumber(bytes, at + UID, 8, "uid", 0xffff_ffff);
}

export function gidOf(bytes: Uint8Array, at: number): number {
  return parseNumber(bytes, at + GID, 8, "gid", 0xffff_ffff);
}

export function mtimeOf(bytes: Uint8Array, at: number): bigint {
  return parseSeconds(bytes, at + MTIME, 12, "mtime");
}

/**
 * Checks numbers that are not needed: some tools refuse a header for them.
 *
 * @throws {@link FormatError} `MALFORMED`, `OUT_OF_RANGE`
 */
export function checkNumbers(bytes: Uint8Array, at: number, maxOwner?: number): void {
  checkUnused(bytes, at + MODE, 8, "mode");
  checkUnused(bytes, at + UID, 8, "uid", maxOwner);
  checkUnused(bytes, at + GID, 8, "gid", maxOwner);
  checkUnused(bytes, at + MTIME, 12, "mtime");
  checkDevice(bytes, at);
}

/** The same for the device numbers. */
export function checkDevice(bytes: Uint8Array, at: number): void {
  checkUnused(bytes, at + DEVICE_MAJOR, 8, "devmajor");
  checkUnused(bytes, at + DEVICE_MINOR, 8, "devminor");
}

/** The device numbers as Linux `new_encode_dev`, which has 12 bits of major and 20 of minor. */
export function deviceOf(bytes: Uint8Array, at: number): number {
  const major = parseNumber(bytes, at + DEVICE_MAJOR, 8, "devmajor", 0xfff);
  const minor = parseNumber(bytes, at + DEVICE_MINOR, 8, "devminor", 0xf_ffff);
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The bytes up to the first NUL, or all `width` of them. */
function textAt(bytes: Uint8Array, at: number, width: number): ByteString {
  let end = at;
  while (end < at + width && bytes[end] !== NUL) end++;
  return toByteString(bytes, at, end);
}
