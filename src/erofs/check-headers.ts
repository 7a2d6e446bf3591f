/**
 * The rules of the two headers.
 *
 * Spec: docs/image-format.md, "Rules of the file and its headers".
 *
 * @module
 */
import { crc32c } from "../bytes/crc32c.ts";
import { limits } from "../limits.ts";
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  COMPOSEFS_EROFS_FLAVOUR,
  COMPOSEFS_HAS_ACL,
  COMPOSEFS_MAGIC,
  ComposefsHeader,
  EROFS_MAGIC,
  FEATURE_COMPAT_MTIME,
  FEATURE_COMPAT_XATTR_FILTER,
  SUPERBLOCK_OFFSET,
  Superblock,
} from "./format.ts";
import { rule, under } from "./image-rules.ts";
import type { SuperblockFields } from "./superblock-reader.ts";

/** `feature_compat` bit 0: the checksum is there. mkcomposefs never sets it. */
const FEATURE_COMPAT_SB_CHKSUM = 1;
const NANOSECONDS = 1_000_000_000;

/** Applies the rules that need nothing but the headers and the file's size. */
export function checkHeaders(bytes: Uint8Array): void {
  const size = bytes.length;
  rule(
    "file.size",
    size <= limits.imageBytes,
    0,
    () => `expected at most ${limits.imageBytes} bytes, got ${size}`,
    "LIMIT",
  );
  checkComposefsHeader(bytes);
  checkSuperblock(bytes);
}

function checkComposefsHeader(bytes: Uint8Array): void {
  const header = under("header.magic", 0, () => ComposefsHeader.decode(bytes));
  const at = ComposefsHeader.offsets;
  rule(
    "header.magic",
    header.magic === COMPOSEFS_MAGIC,
    at.magic,
    () => `expected 0x${hex(COMPOSEFS_MAGIC)}, got 0x${hex(header.magic)}`,
    "BAD_MAGIC",
  );
  rule(
    "header.version",
    header.version === COMPOSEFS_EROFS_FLAVOUR,
    at.version,
    () => `expected version 1, got ${header.version}`,
    "UNSUPPORTED",
  );
  rule(
    "header.version",
    header.composefsVersion <= 1,
    at.composefsVersion,
    () => `expected format version 0 or 1, got ${header.composefsVersion}`,
    "UNSUPPORTED",
  );
  rule(
    "header.flags",
    (header.flags & ~COMPOSEFS_HAS_ACL) === 0,
    at.flags,
    () => `unknown flags 0x${hex(header.flags)}`,
    "UNSUPPORTED",
  );
  // Anything before the superblock that is cut off is a matter of the superblock's rules.
  const gap = bytes.subarray(at.unused, SUPERBLOCK_OFFSET);
  const odd = gap.findIndex((byte) => byte !== 0);
  rule("header.reserved", odd < 0, at.unused + odd, () => `expected 0, got ${gap[odd]}`);
}

/** The offset of a field of the superblock in the image. */
const fieldAt = (field: keyof typeof Superblock.offsets) =>
  SUPERBLOCK_OFFSET + Superblock.offsets[field];

function checkSuperblock(bytes: Uint8Array): void {
  const superblock = under("superblock.magic", SUPERBLOCK_OFFSET, () =>
    Superblock.decode(bytes, SUPERBLOCK_OFFSET),
  );
  checkFormat(superblock);
  checkChecksum(bytes, superblock);
  checkUnused(superblock);
  checkValues(bytes, superblock);
}

/** Magic, block size and features: what says how everything else is to be read. */
function checkFormat(superblock: SuperblockFields): void {
  rule(
    "superblock.magic",
    superblock.magic === EROFS_MAGIC,
    fieldAt("magic"),
    () => `expected 0x${hex(EROFS_MAGIC)}, got 0x${hex(superblock.magic)}`,
    "BAD_MAGIC",
  );
  rule(
    "superblock.block-size",
    superblock.blkszbits === BLOCK_BITS,
    fieldAt("blkszbits"),
    () => `expected 2^${BLOCK_BITS} bytes, got 2^${superblock.blkszbits}`,
    "UNSUPPORTED",
  );
  rule(
    "superblock.features",
    superblock.featureIncompat === 0,
    fieldAt("featureIncompat"),
    () => `unsupported feature_incompat 0x${hex(superblock.featureIncompat)}`,
    "UNSUPPORTED",
  );
  const needed = FEATURE_COMPAT_MTIME | FEATURE_COMPAT_XATTR_FILTER;
  rule(
    "superblock.features",
    (superblock.featureCompat & needed) === needed,
    fieldAt("featureCompat"),
    () =>
      `feature_compat: expected the bits 0x${hex(needed)} in 0x${hex(superblock.featureCompat)}`,
  );
  // What a bit that is not known yet means to a kernel, nobody has checked.
  const unknown = superblock.featureCompat & ~(needed | FEATURE_COMPAT_SB_CHKSUM);
  rule(
    "superblock.features",
    unknown === 0,
    fieldAt("featureCompat"),
    () => `feature_compat: unknown bits 0x${hex(unknown >>> 0)}`,
    "UNSUPPORTED",
  );
}

function checkChecksum(bytes: Uint8Array, superblock: SuperblockFields): void {
  const expected =
    (superblock.featureCompat & FEATURE_COMPAT_SB_CHKSUM) === 0 ? 0 : checksumOf(bytes);
  rule(
    "superblock.checksum",
    superblock.checksum === expected,
    fieldAt("checksum"),
    () => `expected 0x${hex(expected)}, got 0x${hex(superblock.checksum)}`,
    "BAD_CHECKSUM",
  );
}

/** Fields that no image uses. */
function checkUnused(superblock: SuperblockFields): void {
  for (const field of ["sbExtslots", "metaBlkaddr"] as const) {
    rule(
      "superblock.reserved",
      superblock[field] === 0,
      fieldAt(field),
      () => `${field}: expected 0, got ${superblock[field]}`,
      "UNSUPPORTED",
    );
  }
  for (const field of ["uuid", "volumeName", "rest"] as const) {
    const odd = superblock[field].findIndex((byte) => byte !== 0);
    rule("superblock.reserved", odd < 0, fieldAt(field) + odd, () => `${field}: expected zeros`);
  }
}

/** Times, sizes and counts. */
function checkValues(bytes: Uint8Array, superblock: SuperblockFields): void {
  rule(
    "superblock.build-time",
    superblock.buildTimeNsec < NANOSECONDS,
    fieldAt("buildTimeNsec"),
    () => `expected nanoseconds below 10^9, got ${superblock.buildTimeNsec}`,
  );
  const size = superblock.blocks * BLOCK_SIZE;
  rule(
    "file.size",
    size === bytes.length,
    fieldAt("blocks"),
    () => `expected ${size} bytes, got ${bytes.length}`,
    bytes.length < size ? "TRUNCATED" : "OUT_OF_RANGE",
  );
  rule(
    "superblock.inodes",
    superblock.inos <= BigInt(limits.inodes),
    fieldAt("inos"),
    () => `expected at most ${limits.inodes} inodes, got ${superblock.inos}`,
    "LIMIT",
  );
}

/** CRC-32C of the first block from the superblock on, its own field taken as zero. */
function checksumOf(bytes: Uint8Array): number {
  const covered = bytes.slice(SUPERBLOCK_OFFSET, BLOCK_SIZE);
  covered.fill(0, Superblock.offsets.checksum, Superblock.offsets.checksum + 4);
  return crc32c(covered);
}

const hex = (value: number) => value.toString(16);
