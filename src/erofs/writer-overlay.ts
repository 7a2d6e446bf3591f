/**
 * What overlayfs needs in the image: escaped attributes, redirects to objects, and marks by which a
 * mount shows whiteouts as such.
 *
 * Spec: docs/image-format.md, "Rewriting for overlayfs".
 *
 * @module
 */
import { type ByteString, ascii, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import type { Inode } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { METACOPY_SHA256, METACOPY_SHA512 } from "./format.ts";
import { EXTERNAL, HAS_WHITEOUT, type Nodes, OWNS_OBJECT, WHITEOUT } from "./writer-nodes.ts";
import { METACOPY, REDIRECT, writeDigest } from "./writer-objects.ts";
import type { XattrTable } from "./writer-xattrs.ts";
import type { Xattr } from "./writer-xattr-set.ts";

const PRIVATE = "trusted.overlay.";
const OPAQUE = ascii("trusted.overlay.opaque");
const Y = ascii("y");
const EMPTY = ascii("");
const ROOT = 0;

type Pair = readonly [key: ByteString, value: ByteString];
const WHITEOUT_MARKS: readonly Pair[] = [
  [ascii("trusted.overlay.overlay.whiteout"), EMPTY],
  [ascii("user.overlay.whiteout"), EMPTY],
];
const WITH_WHITEOUTS: readonly Pair[] = [
  [ascii("trusted.overlay.overlay.whiteouts"), EMPTY],
  [ascii("user.overlay.whiteouts"), EMPTY],
];
const WITH_WHITEOUTS_1: readonly Pair[] = [
  ...WITH_WHITEOUTS,
  [ascii("trusted.overlay.overlay.opaque"), ascii("x")],
  [ascii("user.overlay.opaque"), ascii("x")],
];

/**
 * Gives each node its xattrs as the image stores them, except the reference to an object that it
 * owns, and counts them in `table`. Nodes come with the xattrs of the tree.
 *
 * @throws {@link FormatError} `LIMIT` when attributes do not fit
 */
export function setXattrs(nodes: Nodes, version: 0 | 1, table: XattrTable): void {
  for (let node = 0; node < nodes.count; node++) {
    const flags = nodes.flags[node]!;
    const referred = (flags & (EXTERNAL | OWNS_OBJECT)) === EXTERNAL;
    const marks = (flags & (WHITEOUT | HAS_WHITEOUT)) !== 0;
    if (!referred && !marks && node !== ROOT) continue; // most of them
    const plain = nodes.xattrs[node];
    if (plain !== undefined) plain.uses -= 1;
    const pairs = imagePairs(nodes.inodes[node]!, flags, version, table);
    if (node === ROOT) pairs.push(table.pair(OPAQUE, Y));
    nodes.xattrs[node] = pairs.length === 0 ? undefined : table.setOf(pairs);
  }
}

function imagePairs(
  { xattrs, digest, payload }: Inode,
  flags: number,
  version: 0 | 1,
  table: XattrTable,
): Xattr[] {
  const pairs: Xattr[] = [];
  if ((flags & (WHITEOUT | HAS_WHITEOUT)) !== 0) {
    for (const [key, value] of marked(xattrs, marksOf(flags, version))) {
      pairs.push(table.pair(key, value));
    }
  } else {
    for (const [key, value] of xattrs) pairs.push(table.pair(escapeKey(key), value));
  }
  if ((flags & (EXTERNAL | OWNS_OBJECT)) === EXTERNAL) {
    pairs.push(table.pair(METACOPY, digest === undefined ? EMPTY : metacopyOf(digest)));
    if (payload !== undefined && payload !== "") {
      pairs.push(table.pair(REDIRECT, `/${payload}` as ByteString));
    }
  }
  return pairs;
}

function marksOf(flags: number, version: 0 | 1): readonly Pair[] {
  if ((flags & WHITEOUT) !== 0) return WHITEOUT_MARKS;
  return version === 0 ? WITH_WHITEOUTS : WITH_WHITEOUTS_1;
}

/** Attributes that overlayfs would act on get one more level, so that a mount shows them. */
export function escapeKey(key: ByteString): ByteString {
  return key.startsWith(PRIVATE)
    ? (`${PRIVATE}overlay.${key.slice(PRIVATE.length)}` as ByteString)
    : key;
}

function metacopyOf(digest: VerityDigest): ByteString {
  const header = digest.length === 64 ? METACOPY_SHA256 : METACOPY_SHA512;
  const value = new Uint8Array(header.length + digest.length / 2);
  value.set(header);
  writeDigest(digest, value, header.length);
  return toByteString(value);
}

/** Limit and costs of the accounting that mkcomposefs does when it sets attributes. */
const ACCOUNT_MAX = 32767;
const HEADER_COST = 12;
const cost = (key: ByteString, value: ByteString) => 7 + key.length + value.length;

/**
 * The escaped attributes with `marks` set. mkcomposefs sets them on a copy whose account starts at
 * 0 although it has attributes: replacing a long value makes the account negative, and fails.
 */
function marked(
  xattrs: ReadonlyMap<ByteString, ByteString>,
  marks: readonly Pair[],
): Map<ByteString, ByteString> {
  const out = new Map<ByteString, ByteString>();
  for (const [key, value] of xattrs) out.set(escapeKey(key), value);
  let account = 0;
  for (const [key, value] of marks) {
    const old = out.get(key);
    if (old !== undefined) {
      out.delete(key);
      account = out.size === 0 ? 0 : account - cost(key, old);
    }
    account += cost(key, value) + (out.size === 0 ? HEADER_COST : 0);
    if (account < 0 || account > ACCOUNT_MAX) {
      throw new FormatError("LIMIT", `xattr ${key}: its replacement cannot be accounted for`);
    }
    out.set(key, value);
  }
  return out;
}
