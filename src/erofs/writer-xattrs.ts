/**
 * The xattrs of an image: each (key, value) pair once, the shared table, and the bytes of each
 * inode's xattr body.
 *
 * Spec: docs/image-format.md, "Xattrs".
 *
 * @module
 */
import { type ByteString, printable, writeBytes } from "../bytes/bytestring.ts";
import { xxh32 } from "../bytes/xxh32.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Xattrs } from "../tree/inode.ts";
import {
  BLOCK_SIZE,
  XATTR_FILTER_SEED,
  XATTR_PREFIXES,
  XattrEntry,
  XattrIbodyHeader,
} from "./format.ts";
import { type Nodes, OWNS_OBJECT } from "./writer-nodes.ts";
import { METACOPY, OBJECT_FILTER, type ObjectTable } from "./writer-objects.ts";
import { Xattr, type XattrKey, type XattrSet } from "./writer-xattr-set.ts";

const ICOUNT_MAX = 65535;
/** Shared ids of one inode; its further shared pairs stand inline as well. */
const SHARED_IDS_MAX = 128;

/** Sets up to this size are sorted by insertion. */
const FEW_PAIRS = 16;

const NO_PAIRS: readonly Xattr[] = [];

/** All pairs of an image. Add the sets of all inodes, then `seal`. */
export class XattrTable {
  readonly #keys = new Map<ByteString, XattrKey>();
  #pairs = 0;
  readonly #shared: Xattr[] = [];
  readonly #sets: XattrSet[] = [];
  readonly #setOfMap = new Map<Xattrs, XattrSet>();
  /** Bytes of the shared table. */
  sharedSize = 0;

  /**
   * The pair of `key` and `value`.
   *
   * @throws {@link FormatError} `LIMIT` when the format has no room for it
   */
  pair(key: ByteString, value: ByteString): Xattr {
    const known = this.#keys.get(key) ?? this.#addKey(key);
    let xattr = known.values.get(value);
    if (xattr === undefined) {
      const most = limits.xattrValueBytes;
      if (value.length > most) {
        const message = `xattr ${printable(key)}: expected at most ${most} bytes, got ${value.length}`;
        throw new FormatError("LIMIT", message);
      }
      if (++this.#pairs > limits.xattrPairs) {
        const message = `xattrs: expected at most ${limits.xattrPairs} pairs of key and value, got more`;
        throw new FormatError("LIMIT", message);
      }
      xattr = new Xattr(known, value);
      known.values.set(value, xattr);
    }
    return xattr;
  }

  /** The set of these pairs, in any order, no key twice. */
  setOf(pairs: Xattr[]): XattrSet {
    sortByKey(pairs);
    const set: XattrSet = { pairs, size: 0, uses: 1 };
    this.#sets.push(set);
    return set;
  }

  /** The set of all pairs of a map, with `rename` applied to their keys. */
  setOfMap(xattrs: Xattrs, rename: (key: ByteString) => ByteString): XattrSet {
    const known = this.#setOfMap.get(xattrs);
    if (known !== undefined) {
      known.uses += 1;
      return known;
    }
    const pairs: Xattr[] = [];
    for (const [key, value] of xattrs) pairs.push(this.pair(rename(key), value));
    const set = this.setOf(pairs);
    this.#setOfMap.set(xattrs, set);
    return set;
  }

  /** Whether some inode has this very key. */
  hasKey(key: ByteString): boolean {
    return this.#keys.has(key);
  }

  #addKey(key: ByteString): XattrKey {
    const [prefix, index] = XATTR_PREFIXES.find(([text]) => key.startsWith(text))!;
    const name = key.slice(prefix.length) as ByteString;
    if (name.length > limits.xattrNameBytes) {
      throw new FormatError(
        "LIMIT",
        `xattr key: expected at most ${limits.xattrNameBytes} bytes, got ${key.length}`,
      );
    }
    if (this.#keys.size >= limits.xattrKeys) {
      const message = `xattrs: expected at most ${limits.xattrKeys} different keys, got more`;
      throw new FormatError("LIMIT", message);
    }
    const filterBit = xxh32(name, XATTR_FILTER_SEED + index) & 31;
    const known: XattrKey = { key, index, name, filterBit, values: new Map() };
    this.#keys.set(key, known);
    return known;
  }

  /** Gives every pair that was used twice its place in the shared table, and every set its size. */
  seal(): void {
    for (const { pairs, uses } of this.#sets) {
      for (const xattr of pairs) {
        if (xattr.uses < 2 && xattr.uses + uses >= 2) this.#shared.push(xattr);
        xattr.uses += uses;
      }
    }
    this.#shared.sort(bySharedOrder);
    for (const xattr of this.#shared) {
      xattr.offset = this.sharedSize;
      this.sharedSize += xattr.size;
    }
    for (const set of this.#sets) set.size = sizeOf(set.pairs);
  }

  /** Writes the xattr body of a node at `at`; `tableAt` is where the shared table starts. */
  writeBody(
    nodes: Nodes,
    objects: ObjectTable,
    node: number,
    out: Uint8Array,
    view: DataView,
    at: number,
    tableAt: number,
  ): void {
    const { offsets } = XattrIbodyHeader;
    const pairs = nodes.xattrs[node]?.pairs ?? NO_PAIRS;
    const idBase = tableAt % BLOCK_SIZE;
    let owns = nodes.is(node, OWNS_OBJECT);
    let filter = owns ? ~OBJECT_FILTER : -1;
    let ids = 0;
    let next = at + XattrIbodyHeader.size;
    for (const xattr of pairs) {
      filter &= ~(1 << xattr.key.filterBit);
      if (xattr.offset >= 0 && ids < SHARED_IDS_MAX) {
        view.setUint32(next, (idBase + xattr.offset) / 4, true);
        next += 4;
        ids += 1;
      }
    }
    let skip = ids;
    for (const xattr of pairs) {
      if (owns && xattr.key.key > METACOPY) {
        objects.writeEntries(nodes.row[node]!, out, next);
        next += objects.entriesSize;
        owns = false;
      }
      if (xattr.offset >= 0 && skip > 0) skip -= 1;
      else next = writeEntry(xattr, out, view, next);
    }
    if (owns) objects.writeEntries(nodes.row[node]!, out, next);
    view.setUint32(at + offsets.nameFilter, filter >>> 0, true);
    view.setUint8(at + offsets.sharedCount, ids);
  }

  /** Writes the shared table at `at`. */
  writeShared(out: Uint8Array, view: DataView, at: number): void {
    let next = at;
    for (const xattr of this.#shared) next = writeEntry(xattr, out, view, next);
  }
}

/** Bytes of the shared ids and the inline entries of these pairs. */
function sizeOf(pairs: readonly Xattr[]): number {
  let ids = 0;
  let size = 0;
  for (const xattr of pairs) {
    if (xattr.offset >= 0 && ids < SHARED_IDS_MAX) {
      ids += 1;
      size += 4;
    } else size += xattr.size;
  }
  return size;
}

/** Most sets have one to three pairs. */
function sortByKey(pairs: Xattr[]): void {
  if (pairs.length > FEW_PAIRS) {
    pairs.sort((a, b) => (a.key.key < b.key.key ? -1 : 1));
    return;
  }
  for (let i = 1; i < pairs.length; i++) {
    const pair = pairs[i]!;
    let at = i;
    while (at > 0 && pairs[at - 1]!.key.key > pair.key.key) {
      pairs[at] = pairs[at - 1]!;
      at -= 1;
    }
    pairs[at] = pair;
  }
}

/**
 * Bytes of a node's xattr body; 0 without attributes.
 *
 * @throws {@link FormatError} `LIMIT` when it does not fit `xattr_icount`
 */
export function bodySize(nodes: Nodes, objects: ObjectTable, node: number): number {
  const set = nodes.xattrs[node];
  const owns = nodes.is(node, OWNS_OBJECT);
  if (set === undefined && !owns) return 0;
  const size =
    XattrIbodyHeader.size + (set === undefined ? 0 : set.size) + (owns ? objects.entriesSize : 0);
  if (icountOf(size) > ICOUNT_MAX) {
    throw new FormatError("LIMIT", `xattrs of one inode: ${size} bytes`);
  }
  return size;
}

/** `i_xattr_icount` of a body of `size` bytes. */
export function icountOf(size: number): number {
  return size === 0 ? 0 : (size - XattrIbodyHeader.size) / 4 + 1;
}

/** Keys descending, then longer values first, then values descending. */
function bySharedOrder(a: Xattr, b: Xattr): number {
  if (a.key !== b.key) return a.key.key < b.key.key ? 1 : -1;
  if (a.value.length !== b.value.length) return b.value.length - a.value.length;
  return a.value < b.value ? 1 : -1;
}

/** Writes one entry and returns where the next one starts. */
function writeEntry(xattr: Xattr, out: Uint8Array, view: DataView, at: number): number {
  const { offsets, size } = XattrEntry;
  const { name, index } = xattr.key;
  view.setUint8(at + offsets.nameLen, name.length);
  view.setUint8(at + offsets.nameIndex, index);
  view.setUint16(at + offsets.valueSize, xattr.value.length, true);
  writeBytes(name, out, at + size);
  writeBytes(xattr.value, out, at + size + name.length);
  return at + xattr.size;
}
