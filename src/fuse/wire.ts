/**
 * The FUSE kernel interface: layouts, opcodes and flags (Linux `include/uapi/linux/fuse.h`,
 * version 7.31 and later). All integers are little endian on the machines that Node runs on.
 *
 * @module
 */
import { i32, raw, struct, u16, u32, u64 } from "../bytes/struct.ts";

export const FUSE_MAJOR = 7;
/** The oldest minor version that is served: it brought FUSE_INIT's 64-byte reply and NO_OPENDIR. */
export const FUSE_MINOR_LEAST = 31;
/** The minor version that the layouts below are written for. */
export const FUSE_MINOR = 38;
/** Node id of the root. */
export const FUSE_ROOT_ID = 1;

export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  TMPFILE: 51,
} as const;

/** Before every request. */
export const InHeader = struct("fuse_in_header", 40, {
  len: u32, // of the whole request
  opcode: u32,
  unique: u64,
  nodeid: u64,
  uid: u32,
  gid: u32,
  pid: u32,
  totalExtlen: u16,
  padding: u16,
});

/** Before every reply. */
export const OutHeader = struct("fuse_out_header", 16, {
  len: u32, // of the whole reply
  error: i32, // negated errno, or 0
  unique: u64,
});

/** What the kernel offers; later versions append to it. */
export const InitIn = struct("fuse_init_in", 16, {
  major: u32,
  minor: u32,
  maxReadahead: u32,
  flags: u32,
});

/** What the server accepts. */
export const InitOut = struct("fuse_init_out", 64, {
  major: u32,
  minor: u32,
  maxReadahead: u32,
  flags: u32,
  maxBackground: u16,
  congestionThreshold: u16,
  maxWrite: u32,
  timeGran: u32,
  maxPages: u16,
  mapAlignment: u16,
  flags2: u32,
  maxStackDepth: u32,
  unused: raw(24),
});

export const InitFlag = {
  ASYNC_READ: 1 << 0,
  EXPORT_SUPPORT: 1 << 4,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  INIT_EXT: 1 << 30,
} as const;

/** `flags2`: flags from bit 32 on. */
export const InitFlag2 = {
  PASSTHROUGH: 1 << (37 - 32),
  ALLOW_IDMAP: 1 << (40 - 32),
} as const;

/** `st_*` of one inode. */
export const Attr = struct("fuse_attr", 88, {
  ino: u64,
  size: u64,
  blocks: u64, // of 512 bytes
  atime: u64,
  mtime: u64,
  ctime: u64,
  atimensec: u32,
  mtimensec: u32,
  ctimensec: u32,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  blksize: u32,
  flags: u32,
});

/** The head of `struct fuse_entry_out`; {@link Attr} follows. */
export const EntryOut = struct("fuse_entry_out", 40, {
  nodeid: u64, // 0: no such name, which the kernel may remember too
  generation: u64,
  entryValid: u64, // seconds
  attrValid: u64, // seconds
  entryValidNsec: u32,
  attrValidNsec: u32,
});

/** The head of `struct fuse_attr_out`; {@link Attr} follows. */
export const AttrOut = struct("fuse_attr_out", 16, {
  attrValid: u64, // seconds
  attrValidNsec: u32,
  dummy: u32,
});

export const OpenOut = struct("fuse_open_out", 16, {
  fh: u64,
  openFlags: u32,
  backingId: i32,
});

export const OpenFlag = {
  KEEP_CACHE: 1 << 1,
  CACHE_DIR: 1 << 3,
  NOFLUSH: 1 << 5,
  PASSTHROUGH: 1 << 7,
} as const;

/** READ, READDIR and READDIRPLUS. */
export const ReadIn = struct("fuse_read_in", 40, {
  fh: u64,
  offset: u64,
  size: u32,
  readFlags: u32,
  lockOwner: u64,
  flags: u32,
  padding: u32,
});

export const ReleaseIn = struct("fuse_release_in", 24, {
  fh: u64,
  flags: u32,
  releaseFlags: u32,
  lockOwner: u64,
});

export const InterruptIn = struct("fuse_interrupt_in", 8, { unique: u64 });

/** GETXATTR (the name follows) and LISTXATTR. */
export const GetxattrIn = struct("fuse_getxattr_in", 8, { size: u32, padding: u32 });
export const GetxattrOut = struct("fuse_getxattr_out", 8, { size: u32, padding: u32 });

export const StatfsOut = struct("fuse_statfs_out", 80, {
  blocks: u64,
  bfree: u64,
  bavail: u64,
  files: u64,
  ffree: u64,
  bsize: u32,
  namelen: u32,
  frsize: u32,
  padding: u32,
  spare: raw(24),
});

/** The name follows, then padding to a multiple of 8. */
export const Dirent = struct("fuse_dirent", 24, {
  ino: u64,
  off: u64, // where the next entry starts
  namelen: u32,
  type: u32, // DT_*
});

export const ENTRY_SIZE = EntryOut.size + Attr.size;
export const ATTR_OUT_SIZE = AttrOut.size + Attr.size;
export const DIRENT_ALIGN = 8;
