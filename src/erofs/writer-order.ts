/**
 * The order of the inodes in an image, with the 256 stubs.
 *
 * Spec: docs/image-format.md, "Stubs" and "Ordering and inode numbers".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type Directory,
  type Entry,
  HardLink,
  Inode,
  NO_XATTRS,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
} from "../tree/inode.ts";
import { Entries } from "./writer-entries.ts";
import { EXTERNAL, HAS_WHITEOUT, Nodes, WHITEOUT } from "./writer-nodes.ts";
import { ObjectTable } from "./writer-objects.ts";
import { escapeKey } from "./writer-overlay.ts";
import type { XattrTable } from "./writer-xattrs.ts";

/** All inodes, each before those below it. */
export interface Order {
  readonly nodes: Nodes;
  readonly entries: Entries;
  readonly objects: ObjectTable;
  /** A node with the smallest mtime of all. */
  readonly oldest: number;
  /** Whether the tree has whiteouts, which ask for format version 1. */
  readonly hasWhiteouts: boolean;
}

/** A name whose node is not known before all inodes are in order. */
interface PendingLink {
  readonly target: Inode;
  readonly entry: number;
}

const DOT = ascii(".");
const DOT_DOT = ascii("..");

/**
 * Queues every inode breadth first, names in byte order. Hard links lead to the inode of their
 * target and are not queued.
 *
 * @throws {@link FormatError} `MALFORMED` when a hard link leads out of the tree; `LIMIT` for too
 *   many inodes
 */
export function orderNodes(root: Directory, table: XattrTable): Order {
  const stubs = makeStubs(root);
  const nodes = new Nodes();
  const entries = new Entries();
  const objects = new ObjectTable();
  const links: PendingLink[] = [];
  let hasWhiteouts = false;
  let oldest = 0;

  add(root, 0, false);
  for (let node = 0; node < nodes.count; node++) {
    if ((nodes.mode[node]! & S_IFMT) !== S_IFDIR) continue;
    const inode = nodes.inodes[node]!;
    if (inode.entries === undefined) throw new TypeError("tree: a directory without entries");
    const names: ByteString[] = [DOT, DOT_DOT];
    const found: (Entry | undefined)[] = [undefined, undefined];
    for (const [name, entry] of inode.entries) {
      names.push(name);
      found.push(entry);
    }
    if (node === 0) names.push(...stubs.keys());
    sortNames(names, found, inode.entries);
    const listing = entries.add(names);
    nodes.listings[node] = listing;
    for (let index = 0; index < names.length; index++) {
      const name = names[index]!;
      const entry = found[index];
      let target = 0;
      if (entry === undefined) {
        // One of the names that no tree has: ".", ".." or a stub.
        const stub = stubs.get(name);
        if (stub !== undefined) target = add(stub, node, true);
        else target = name === DOT ? node : nodes.parent[node]!;
      } else if (entry instanceof HardLink) {
        links.push({ target: entry.target, entry: listing.first + index });
      } else {
        target = add(entry, node, false);
        if (entry.entries !== undefined) nodes.nlink[node]! += 1;
        if (nodes.is(target, WHITEOUT)) {
          nodes.flags[node]! |= HAS_WHITEOUT;
          hasWhiteouts = true;
        }
      }
      entries.node[listing.first + index] = target;
    }
    if (nodes.count > limits.inodes) {
      const message = `image: expected at most ${limits.inodes} inodes, got more`;
      throw new FormatError("LIMIT", message);
    }
  }
  resolveLinks(nodes, entries, links);
  objects.finish(nodes);
  return { nodes, entries, objects, oldest, hasWhiteouts };

  /** Adds an inode. Where possible, nothing looks at it again. */
  function add(inode: Inode, parent: number, stub: boolean): number {
    const node = nodes.add(inode, parent, stub);
    if (nodes.isOlder(node, oldest)) oldest = node;
    if (inode.xattrs.size > 0) nodes.xattrs[node] = table.setOfMap(inode.xattrs, escapeKey);
    if (nodes.is(node, EXTERNAL)) objects.add(nodes, node);
    return node;
  }
}

function resolveLinks(nodes: Nodes, entries: Entries, links: readonly PendingLink[]): void {
  if (links.length === 0) return;
  const targets = new Map<Inode, number>(links.map(({ target }) => [target, -1]));
  for (let node = 0; node < nodes.count; node++) {
    const inode = nodes.inodes[node]!;
    if (targets.has(inode)) targets.set(inode, node);
  }
  for (const { target, entry } of links) {
    const node = targets.get(target)!;
    if (node < 0) {
      throw new FormatError("MALFORMED", "tree: a hard link leads to an inode outside the tree");
    }
    entries.node[entry] = node;
  }
}

const SELINUX = ascii("security.selinux");

/**
 * A character device 0:0 for every two-digit hex name that the root lacks: composefs hides the
 * folders of the object store with them when it stacks the store below the image.
 */
function makeStubs(root: Directory): Map<ByteString, Inode> {
  const label = root.xattrs.get(SELINUX);
  const xattrs = label === undefined ? NO_XATTRS : new Map([[SELINUX, label]]);
  const stubs = new Map<ByteString, Inode>();
  for (let number = 0; number < 256; number++) {
    const name = ascii(number.toString(16).padStart(2, "0"));
    if (root.entries.has(name)) continue;
    const stub = new Inode(S_IFCHR | 0o644);
    stub.uid = root.uid;
    stub.gid = root.gid;
    stub.mtimeSeconds = root.mtimeSeconds;
    stub.mtimeNanoseconds = root.mtimeNanoseconds;
    stub.xattrs = xattrs;
    stubs.set(name, stub);
  }
  return stubs;
}

const INSERTION_SORT_MAX = 24;

/**
 * Sorts names as unsigned bytes, and their entries with them. Most directories are too small for
 * the set-up of the built-in sort.
 */
function sortNames(
  names: ByteString[],
  found: (Entry | undefined)[],
  entries: ReadonlyMap<ByteString, Entry>,
): void {
  if (names.length > INSERTION_SORT_MAX) {
    names.sort();
    for (let i = 0; i < names.length; i++) found[i] = entries.get(names[i]!);
    return;
  }
  for (let i = 1; i < names.length; i++) {
    const name = names[i]!;
    const entry = found[i];
    let at = i;
    for (; at > 0 && isAbove(names[at - 1]!, name); at--) {
      names[at] = names[at - 1]!;
      found[at] = found[at - 1];
    }
    names[at] = name;
    found[at] = entry;
  }
}

/** `a > b`, which takes several times as long for strings that are parts of others. */
function isAbove(a: ByteString, b: ByteString): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference !== 0) return difference > 0;
  }
  return a.length > b.length;
}
