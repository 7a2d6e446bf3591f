/**
 * Writes a tree as a composefs image, byte for byte as mkcomposefs does.
 *
 * Spec: docs/image-format.md, "File layout" and "Format versions".
 *
 * @module
 */
import { ascii } from "../bytes/bytestring.ts";
import { UsageError } from "../errors.ts";
import type { Directory } from "../tree/inode.ts";
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
import { emit } from "./writer-emit.ts";
import { type Layout, layOut } from "./writer-layout.ts";
import { type Order, orderNodes } from "./writer-order.ts";
import { setXattrs } from "./writer-overlay.ts";
import { XattrTable } from "./writer-xattrs.ts";

/** Which format version an image may have. */
export type FormatVersion = 0 | 1;

/** Bounds of the format version; without any, 0 and 1. */
export interface WriteOptions {
  readonly minVersion?: FormatVersion;
  /** Version 1 is taken when it is allowed and the tree has whiteouts. */
  readonly maxVersion?: FormatVersion;
}

const ACLS = [ascii("system.posix_acl_access"), ascii("system.posix_acl_default")];
const NO_BYTES = new Uint8Array(0);

/**
 * The image of a tree. The tree stays as it is.
 *
 * @throws {@link FormatError} `LIMIT` when the tree does not fit the format, `MALFORMED` when it is no
 *   tree; {@link UsageError} for versions that do not exist
 */
export function writeImage(root: Directory, options: WriteOptions = {}): Uint8Array {
  const table = new XattrTable();
  const order = orderNodes(root, table);
  const version = chooseVersion(options, order.hasWhiteouts);
  setXattrs(order.nodes, version, table);
  table.seal();
  const layout = layOut(order, table.sharedSize);

  const out = new Uint8Array(layout.blocks * BLOCK_SIZE);
  ComposefsHeader.encodeInto(out, 0, {
    magic: COMPOSEFS_MAGIC,
    version: COMPOSEFS_EROFS_FLAVOUR,
    flags: ACLS.some((key) => table.hasKey(key)) ? COMPOSEFS_HAS_ACL : 0,
    composefsVersion: version,
    unused: NO_BYTES,
  });
  Superblock.encodeInto(out, SUPERBLOCK_OFFSET, superblock(order, layout));
  emit(order, layout, table, out);
  return out;
}

function chooseVersion(options: WriteOptions, hasWhiteouts: boolean): FormatVersion {
  const given = options.minVersion !== undefined || options.maxVersion !== undefined;
  const minimum = options.minVersion ?? 0;
  const maximum = options.maxVersion ?? (given ? 0 : 1);
  for (const bound of [minimum, maximum]) {
    if (bound !== 0 && bound !== 1) {
      throw new UsageError("USAGE", `format version: expected 0 or 1, got ${String(bound)}`);
    }
  }
  return minimum === 1 || (maximum === 1 && hasWhiteouts) ? 1 : 0;
}

function superblock(order: Order, layout: Layout) {
  return {
    magic: EROFS_MAGIC,
    checksum: 0,
    featureCompat: FEATURE_COMPAT_MTIME | FEATURE_COMPAT_XATTR_FILTER,
    blkszbits: BLOCK_BITS,
    sbExtslots: 0,
    rootNid: order.nodes.nid[0]!,
    inos: BigInt(order.nodes.count),
    buildTime: order.nodes.inodes[order.oldest]!.mtimeSeconds,
    buildTimeNsec: order.nodes.nanoseconds[order.oldest]!,
    blocks: layout.blocks,
    metaBlkaddr: 0,
    xattrBlkaddr: Math.floor(layout.inodesEnd / BLOCK_SIZE),
    uuid: NO_BYTES,
    volumeName: NO_BYTES,
    featureIncompat: 0,
    rest: NO_BYTES,
  };
}
