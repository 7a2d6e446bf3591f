/**
 * On-disk layouts of a composefs EROFS image. All integers are little endian.
 *
 * Spec: docs/image-format.md, "File layout", "Superblock", "Xattrs", "Inodes" and "Directories".
 *
 * @module
 */
import { i64, raw, struct, u16, u32, u64, u8 } from "../bytes/struct.ts";

export const BLOCK_SIZE = 4096;
export const BLOCK_BITS = 12;
/** Inodes start at multiples of this; `nid` counts slots from the start of the file. */
export const SLOT_SIZE = 32;

export const COMPOSEFS_MAGIC = 0xd078629a;
/** Version word of the composefs header: the EROFS flavour. */
export const COMPOSEFS_EROFS_FLAVOUR = 1;
/** Header flag: some inode has a POSIX ACL. */
export const COMPOSEFS_HAS_ACL = 1;

/** The composefs header at offset 0. */
export const ComposefsHeader = struct("composefs_header", 32, {
  magic: u32,
  version: u32,
  flags: u32,
  composefsVersion: u32, // format version, 0 or 1
  unused: raw(16),
});

export const SUPERBLOCK_OFFSET = 1024;
export const EROFS_MAGIC = 0xe0f5e1e2;
export const FEATURE_COMPAT_MTIME = 2;
export const FEATURE_COMPAT_XATTR_FILTER = 4;

/** `struct erofs_super_block` at offset 1024. */
export const Superblock = struct("erofs_super_block", 128, {
  magic: u32,
  checksum: u32, // 0: composefs never computes it
  featureCompat: u32,
  blkszbits: u8,
  sbExtslots: u8,
  rootNid: u16,
  inos: u64, // number of inodes

  buildTime: i64, // seconds of the minimum mtime
  buildTimeNsec: u32,
  blocks: u32, // blocks of the whole file
  metaBlkaddr: u32,
  xattrBlkaddr: u32,
  uuid: raw(16),
  volumeName: raw(16),

  featureIncompat: u32,
  rest: raw(44), // unused features, all zero
});

/** First byte after the superblock: where the inode area starts. */
export const INODES_OFFSET = SUPERBLOCK_OFFSET + Superblock.size;

/** Bit 0 of `format`: 64-byte inode. Bits 1 to 3: data layout. */
export const FORMAT_EXTENDED = 1;
export const LAYOUT_FLAT_PLAIN = 0;
export const LAYOUT_FLAT_INLINE = 2;
export const LAYOUT_CHUNK_BASED = 4;

/** `struct erofs_inode_compact`. */
export const InodeCompact = struct("erofs_inode_compact", 32, {
  format: u16,
  xattrIcount: u16,
  mode: u16,
  nlink: u16,
  size: u32,
  reserved: u32,
  u: u32, // first data block, device number, or chunk format
  ino: u32,
  uid: u16,
  gid: u16,
  reserved2: u32,
});

/** `struct erofs_inode_extended`. */
export const InodeExtended = struct("erofs_inode_extended", 64, {
  format: u16,
  xattrIcount: u16,
  mode: u16,
  reserved: u16,
  size: u64,
  u: u32,
  ino: u32,
  uid: u32,
  gid: u32,
  mtime: i64,
  mtimeNsec: u32,
  nlink: u32,
  reserved2: raw(16),
});

/** `struct erofs_xattr_ibody_header`: before an inode's shared ids and inline entries. */
export const XattrIbodyHeader = struct("erofs_xattr_ibody_header", 12, {
  nameFilter: u32, // a cleared bit means "may be here"
  sharedCount: u8,
  reserved: raw(7),
});

/** Entries of xattrs start at multiples of four bytes: where the next one after `end` starts. */
export const alignXattr = (end: number): number => (end + 3) & ~3;

/** `struct erofs_xattr_entry`: name and value follow, padded to 4 bytes. */
export const XattrEntry = struct("erofs_xattr_entry", 4, {
  nameLen: u8,
  nameIndex: u8,
  valueSize: u16,
});

/** Seed of the xattr name filter; the name index is added to it. */
export const XATTR_FILTER_SEED = 0x25bbe08f;

/** Prefixes by index, in the order in which the writer tries them. */
export const XATTR_PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
  ["", 0],
];

/** `struct erofs_dirent`: entries fill the front of a directory block, names the rest. */
export const Dirent = struct("erofs_dirent", 12, {
  nid: u64,
  nameOffset: u16, // bytes from the start of the directory block
  fileType: u8, // FT_* value
  reserved: u8,
});

export const FT_REG_FILE = 1;
export const FT_DIR = 2;
export const FT_CHRDEV = 3;
export const FT_BLKDEV = 4;
export const FT_FIFO = 5;
export const FT_SOCK = 6;
export const FT_SYMLINK = 7;

/** The largest chunk: 2^(12 + 31) bytes. */
export const CHUNK_BITS_MAX = 43;
/** Chunk addresses of an external file are all ones: a hole, filled by the redirect. */
export const NULL_CHUNK = 0xffffffff;

/** `trusted.overlay.metacopy` with a sha256 digest: version, length, flags, algorithm. */
export const METACOPY_SHA256 = Uint8Array.of(0, 36, 0, 1);
/** The same with sha512: 4 + 64 bytes, `FS_VERITY_HASH_ALG_SHA512`. */
export const METACOPY_SHA512 = Uint8Array.of(0, 68, 0, 2);
