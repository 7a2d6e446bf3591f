/**
 * The rules that an image has to obey before anything is mounted from it: what mkcomposefs writes,
 * and nothing else. Each has a name, so that a refusal can be looked up; `check.ts` applies them.
 *
 * Spec: docs/image-format.md, "Rules of the checker".
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** Every rule by its name. */
export const imageRules = {
  "file.size": "the file has as many bytes as the superblock says, a multiple of 4096",
  "header.magic": "the file begins with the composefs magic",
  "header.version": "the header has a known version and format version",
  "header.flags": "the ACL flag is set exactly when some inode has a POSIX ACL",
  "header.reserved": "unused bytes before the superblock are zero",
  "superblock.magic": "the EROFS superblock stands at byte 1024",
  "superblock.block-size": "blocks have 4096 bytes",
  "superblock.features":
    "modification times and filters are used, a checksum may be, and no other feature",
  "superblock.checksum": "the checksum is right, or absent and zero",
  "superblock.reserved": "unused fields of the superblock are zero",
  "superblock.root": "the root is a directory inside the image",
  "superblock.inodes": "the superblock counts the inodes",
  "superblock.build-time": "the build time is the oldest modification time",
  "superblock.xattr-table": "the shared xattr table begins where the superblock says",
  "inode.range": "inodes lie inside the image, after the superblock",
  "inode.format": "inodes have a known form, and a data layout that goes with their type",
  "inode.reserved": "unused fields of an inode are zero",
  "inode.type": "the mode has a known file type",
  "inode.number": "inode numbers are unique and below the number of inodes",
  "inode.links": "the link count is the number of names, of a directory 2 and its subdirectories",
  "inode.size": "sizes are below 2^53; devices, fifos and sockets have none",
  "inode.time": "nanoseconds are below 10^9",
  "layout.range": "data lies inside the image",
  "layout.overlap": "no two things share a byte",
  "layout.tail": "inline data does not cross a block boundary",
  "layout.padding": "bytes that belong to nothing are zero",
  "directory.block": "a directory block holds whole entries, then as many names",
  "directory.name":
    "names have 1 to 255 bytes, without slash and NUL, and are no layer's whiteouts",
  "directory.order": "names are sorted bytewise and unique",
  "directory.dots": '"." leads to the directory itself and ".." to its parent',
  "directory.type": "the type beside a name is the inode's",
  "directory.parents": "a directory has one name",
  "directory.loop": "a directory is not inside itself",
  "directory.depth": "directories nest no deeper, and paths are no longer, than the limits",
  "root.opaque": "the root is marked opaque",
  "root.stubs": "the root has a name for every directory of the object store",
  "whiteout.device": "a device 0:0 is a stub in the root",
  "whiteout.content": "a file with trusted.overlay.overlay.whiteout is empty",
  "symlink.target": "symlinks have 1 to 4095 bytes, without NUL",
  "file.chunks": "an external file's chunk format follows from its size, and its chunks are holes",
  "xattr.range": "xattrs lie inside their area",
  "xattr.prefix": "the prefix index of a key is known, and the first that fits",
  "xattr.key": "keys have 1 to 255 bytes, without NUL",
  "xattr.name": "keys are of user, trusted, security, or a POSIX ACL: the kernel shows no others",
  "xattr.acl": "POSIX ACLs are as the kernel takes them, the default ones of directories",
  "xattr.duplicate": "a key occurs once in an inode",
  "xattr.size": "all xattrs of an inode together stay below the limit",
  "xattr.filter": "the name filter of an inode says which keys it has",
  "xattr.shared": "shared xattrs are entries of the shared table",
  "xattr.reserved": "unused bytes of xattr bodies are zero",
  "overlay.private": "trusted.overlay.* is escaped, but for what an image needs",
  "overlay.metacopy": "external files, and no others, carry a digest of a known form",
  "overlay.redirect": "the redirect of an external file is the path of its digest",
  "overlay.size": "files with one digest have one size",
} as const;

/** The name of a rule. */
export type ImageRule = keyof typeof imageRules;

/** A rule that does not hold, and where. */
export interface ImageProblem {
  readonly rule: ImageRule;
  /** Offset in the image, in bytes. */
  readonly offset: number;
  readonly message: string;
}

/** The first rule that an image breaks. */
export class ImageRuleError extends FormatError implements ImageProblem {
  readonly rule: ImageRule;
  readonly offset: number;

  constructor(
    rule: ImageRule,
    offset: number,
    message: string,
    options?: { code?: FormatError["code"] | undefined; cause?: unknown },
  ) {
    super(options?.code ?? "MALFORMED", `image breaks ${rule} at byte ${offset}: ${message}`, {
      cause: options?.cause,
      hint: `the rule: ${imageRules[rule]}`,
    });
    this.rule = rule;
    this.offset = offset;
  }
}

/** Calls `read`, and turns a `FormatError` that it throws into a violation of `rule`. */
export function under<T>(rule: ImageRule, offset: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError) || error instanceof ImageRuleError) throw error;
    throw new ImageRuleError(rule, offset, error.message, { code: error.code, cause: error });
  }
}

/** Throws unless `holds`. The message is made only when it is needed. */
export function rule(
  name: ImageRule,
  holds: boolean,
  offset: number,
  message: () => string,
  code?: FormatError["code"],
): asserts holds {
  if (holds) return;
  throw new ImageRuleError(name, offset, message(), { code });
}
