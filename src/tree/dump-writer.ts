/**
 * The tree as a composefs dump file, byte for byte as `composefs-info dump` prints it.
 *
 * Spec: docs/image-format.md, "Writing dumps".
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "./inode.ts";

/** What a line says of an inode; an `Inode` is one. */
export interface DumpNode {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: bigint;
  readonly mtimeSeconds: bigint;
  readonly mtimeNanoseconds: number;
  readonly xattrs: Iterable<readonly [ByteString, ByteString]>;
  readonly target: ByteString | undefined;
  readonly content: Uint8Array | undefined;
  readonly payload: ByteString | undefined;
  readonly digest: VerityDigest | undefined;
}

/** Something that a dump can be made of; `Key` is what tells its inodes apart. */
export interface DumpSource<Key> {
  readonly root: Key;
  node(key: Key): DumpNode;
  /** The entries of a directory in bytewise order of their names. */
  entries(key: Key): Iterator<readonly [ByteString, Key]>;
  /** The inodes that have several names. */
  linked(): ReadonlySet<Key>;
}

/** Bytes gathered before they are handed out as one chunk. */
const CHUNK_BYTES = 1 << 18;

/**
 * Yields the dump file of `source` in chunks: directories before what is in them, names in bytewise
 * order. Of several names of an inode, the first in that order has the inode and the others refer
 * to it. Nothing is held but the path to where the walk is.
 */
export function* formatDump<Key>(source: DumpSource<Key>): Generator<Uint8Array, void, undefined> {
  const linked = source.linked();
  /** The escaped paths that stand for inodes with several names. */
  const firstPaths = new Map<Key, string>();
  if (linked.has(source.root)) firstPaths.set(source.root, "");
  const out = new AsciiBuffer();
  out.append(formatLine("/", source.node(source.root), undefined));
  // Explicit stack: images nest deeper than calls may.
  const stack = [{ path: "", entries: source.entries(source.root) }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { done, value: entry } = top.entries.next();
    if (done) {
      stack.pop();
      continue;
    }
    const [name, key] = entry;
    const path = `${top.path}/${escapeField(name)}`;
    const node = source.node(key);
    const firstPath = firstPaths.get(key);
    out.append(formatLine(path, node, firstPath));
    if (out.length >= CHUNK_BYTES) yield out.take();
    if (firstPath === undefined) {
      if (linked.has(key)) firstPaths.set(key, path);
      if ((node.mode & S_IFMT) === S_IFDIR) stack.push({ path, entries: source.entries(key) });
    }
  }
  yield out.take();
}

/** One line; with `firstPath` a further name of the inode that stands there. */
function formatLine(path: string, node: DumpNode, firstPath: string | undefined): string {
  const mode = node.mode.toString(8);
  const isLink = (node.mode & S_IFMT) === S_IFLNK;
  const size = isLink ? (node.target?.length ?? 0) : node.size;
  const payload = firstPath ?? optionalField(node.target ?? node.payload);
  const content = node.content === undefined ? "-" : optionalField(toByteString(node.content));
  let line =
    `${path} ${size} ${firstPath === undefined ? mode : `@${mode}`} ${node.nlink} ` +
    `${node.uid} ${node.gid} ${node.rdev} ${node.mtimeSeconds}.${node.mtimeNanoseconds} ` +
    `${payload} ${content} ${node.digest ?? "-"}`;
  for (const [key, value] of node.xattrs) line += ` ${escapeXattr(key)}=${escapeXattr(value)}`;
  return `${line}\n`;
}

const needsEscape = /[^!-~]|\\/;
const escaped = /[^!-~]|\\/g;
const xattrNeedsEscape = /[^!-~]|[\\=]/;
const xattrEscaped = /[^!-~]|[\\=]/g;

const named: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
const escapes = Array.from({ length: 256 }, (_, byte) => {
  return named[String.fromCharCode(byte)] ?? `\\x${byte.toString(16).padStart(2, "0")}`;
});

const escapeUnit = (unit: string) => escapes[unit.charCodeAt(0)]!;

/** A field that a parser reads back as `text`. */
function escapeField(text: string): string {
  return needsEscape.test(text) ? text.replace(escaped, escapeUnit) : text;
}

function escapeXattr(text: ByteString): string {
  return xattrNeedsEscape.test(text) ? text.replace(xattrEscaped, escapeUnit) : text;
}

/** "-" stands for an absent field, so a field with the content "-" is escaped. */
function optionalField(text: string | undefined): string {
  if (text === undefined) return "-";
  return text === "-" ? "\\x2d" : escapeField(text);
}

/** Room for what is gathered, and as a rule for one line more. */
const BUFFER_BYTES = CHUNK_BYTES + (1 << 14);
const encoder = new TextEncoder();

/** Gathers ASCII text as bytes. */
class AsciiBuffer {
  #bytes = newBytes(BUFFER_BYTES);
  /** Bytes gathered. */
  length = 0;

  append(text: string): void {
    const end = this.length + text.length;
    if (end > this.#bytes.length) {
      const larger = newBytes(end);
      larger.set(this.#bytes.subarray(0, this.length));
      this.#bytes = larger;
    }
    const bytes = this.#bytes;
    if (hasBuffer && Buffer.isBuffer(bytes)) bytes.write(text, this.length, "latin1");
    else encoder.encodeInto(text, bytes.subarray(this.length));
    this.length = end;
  }

  /** What was gathered; the next text begins a new piece. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.length);
    this.#bytes = newBytes(BUFFER_BYTES);
    this.length = 0;
    return taken;
  }
}

// Pure modules also run in browsers.
const hasBuffer = typeof Buffer !== "undefined";

function newBytes(size: number): Uint8Array {
  return hasBuffer ? Buffer.allocUnsafeSlow(size) : new Uint8Array(size);
}
