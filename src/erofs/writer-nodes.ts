/**
 * The inodes of an image in their order, with the 256 stubs and what the layout needs to know of
 * each.
 *
 * Spec: composefs image format, section 4 (stubs) and section 5, "Ordering and inode numbers".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type Directory,
  HardLink,
  Inode,
  NO_XATTRS,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../tree/inode.ts";
import type { XattrSet } from "./writer-xattrs.ts";

/** Names of a directory in stored order, "." and ".." included, and where they lead. */
export interface Listing {
  readonly names: ByteString[];
  readonly nodes: Node[];
  /** Behind which name each block of the directory ends; filled by the layout. */
  ends: number[];
}

/** One inode on its way into the image. */
export class Node {
  /** The inode of the tree; the writer never changes it. */
  readonly inode: Inode;
  readonly parent: Node | undefined;
  /** Position in the order. */
  readonly ino: number;
  /** Mode, link count and size as the image has them: for whiteouts and directories not the tree's. */
  mode: number;
  nlink: number;
  /** Bytes; only above 2^53 is the exact value in the inode alone. */
  size: number;
  /** A whiteout of the tree: it becomes an ordinary file with attributes. */
  readonly whiteout: boolean;
  /** Directories: whether a whiteout is among the children. */
  hasWhiteout = false;
  listing: Listing | undefined = undefined;
  /** A regular file whose data is an object outside the image. */
  readonly external: boolean;
  /** Whether the attributes of the object are this node's alone, and not among `xattrs`. */
  ownsObject = false;
  xattrs: XattrSet | undefined = undefined;

  // The layout, writer-layout.ts.
  extended = false;
  xattrSize = 0;
  /** Data blocks, bytes of the tail behind the inode, and where the inode and the blocks start. */
  blocks = 0;
  tail = 0;
  start = 0;
  firstBlock = 0;
  chunkBits = 0;

  constructor(inode: Inode, parent: Node | undefined, ino: number, stub: boolean) {
    this.inode = inode;
    this.parent = parent;
    this.ino = ino;
    const type = inode.mode & S_IFMT;
    this.whiteout = !stub && type === S_IFCHR && inode.rdev === 0;
    this.mode = this.whiteout ? (inode.mode & ~S_IFMT) | S_IFREG : inode.mode;
    this.nlink = inode.nlink;
    if (type === S_IFDIR) this.nlink = 2;
    if (type === S_IFLNK) this.size = inode.target?.length ?? 0;
    else if (this.whiteout) this.size = 0;
    else if (type === S_IFREG && inode.content?.length) this.size = inode.content.length;
    else this.size = Number(inode.size);
    this.external = type === S_IFREG && this.size > 0 && !inode.content?.length;
  }
}

/** All inodes, each before those below it. */
export interface Order {
  readonly nodes: Node[];
  /** The smallest mtime of all. */
  readonly minSeconds: bigint;
  readonly minNanoseconds: number;
  /** Whether the tree has whiteouts, which ask for format version 1. */
  readonly hasWhiteouts: boolean;
}

const DOT = ascii(".");
const DOT_DOT = ascii("..");

/**
 * Queues every inode breadth first, names in byte order. Hard links lead to the inode of their
 * target and are not queued.
 *
 * @throws {@link FormatError} `MALFORMED` when a hard link leads out of the tree; `LIMIT` for too many
 *   inodes
 */
export function orderNodes(root: Directory): Order {
  const stubs = makeStubs(root);
  const nodes: Node[] = [new Node(root, undefined, 0, false)];
  const links: { readonly link: HardLink; readonly listing: Listing; readonly index: number }[] =
    [];
  let hasWhiteouts = false;
  let minSeconds = root.mtimeSeconds;
  let minNanoseconds = root.mtimeNanoseconds;

  for (let ino = 0; ino < nodes.length; ino++) {
    const node = nodes[ino]!;
    const { inode } = node;
    if (
      inode.mtimeSeconds < minSeconds ||
      (inode.mtimeNanoseconds < minNanoseconds && inode.mtimeSeconds === minSeconds)
    ) {
      minSeconds = inode.mtimeSeconds;
      minNanoseconds = inode.mtimeNanoseconds;
    }
    if (inode.entries === undefined) continue;

    const names: ByteString[] = [DOT, DOT_DOT, ...inode.entries.keys()];
    if (ino === 0) names.push(...stubs.keys());
    sortNames(names);
    const listing: Listing = { names, nodes: [], ends: [] };
    node.listing = listing;
    for (let index = 0; index < names.length; index++) {
      const name = names[index]!;
      const entry = inode.entries.get(name);
      if (entry === undefined) {
        // One of the names that no tree has: ".", ".." or a stub.
        const stub = stubs.get(name);
        if (stub === undefined) listing.nodes.push(name === DOT ? node : (node.parent ?? node));
        else listing.nodes.push(queue(stub, node, true));
      } else if (entry instanceof HardLink) {
        listing.nodes.push(node); // stands in until all inodes have their place
        links.push({ link: entry, listing, index });
      } else {
        const child = queue(entry, node, false);
        listing.nodes.push(child);
        if (entry.entries !== undefined) node.nlink += 1;
        if (child.whiteout) {
          node.hasWhiteout = true;
          hasWhiteouts = true;
        }
      }
    }
  }
  resolveLinks(nodes, links);
  return { nodes, minSeconds, minNanoseconds, hasWhiteouts };

  function queue(inode: Inode, parent: Node, stub: boolean): Node {
    const node = new Node(inode, parent, nodes.length, stub);
    if (nodes.length >= limits.inodes) throw new FormatError("LIMIT", "image: too many inodes");
    nodes.push(node);
    return node;
  }

  function resolveLinks(all: Node[], pending: typeof links): void {
    if (pending.length === 0) return;
    const targets = new Set(pending.map(({ link }) => link.target));
    const places = new Map<Inode, Node>();
    for (const node of all) if (targets.has(node.inode)) places.set(node.inode, node);
    for (const { link, listing, index } of pending) {
      const target = places.get(link.target);
      if (target === undefined) {
        throw new FormatError("MALFORMED", "tree: a hard link leads to an inode outside the tree");
      }
      listing.nodes[index] = target;
    }
  }
}

const SELINUX = ascii("security.selinux");

/**
 * A character device 0:0 for every two-digit hex name that the root lacks: composefs hides the
 * folders of the object store in this way when it stacks it below the image.
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

/** Sorts as unsigned bytes; most directories are too small for the set-up of the built-in sort. */
function sortNames(names: ByteString[]): void {
  if (names.length > INSERTION_SORT_MAX) {
    names.sort();
    return;
  }
  for (let i = 1; i < names.length; i++) {
    const name = names[i]!;
    let at = i;
    while (at > 0 && names[at - 1]! > name) {
      names[at] = names[at - 1]!;
      at -= 1;
    }
    names[at] = name;
  }
}
