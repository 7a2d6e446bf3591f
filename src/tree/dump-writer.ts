/**
 * The tree as a composefs dump file, byte for byte as `composefs-info dump` prints it (spec:
 * composefs image format, section 11).
 *
 * @module
 */
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { HardLink, type Inode, S_IFLNK, S_IFMT, isDirectory } from "./inode.ts";
import type { Directory, Entry } from "./inode.ts";

/** Characters gathered before they are handed out as one chunk. */
const CHUNK_LENGTH = 1 << 16;

/**
 * Yields the dump file of `root` in chunks: directories before what is in them, names in bytewise
 * order. Of several names of an inode the first in that order stands for it, the others refer to it.
 */
export function* formatDump(root: Directory): Generator<Uint8Array, void, undefined> {
  const writer = new DumpWriter(root);
  let text = "";
  for (const line of writer.lines()) {
    text += line;
    if (text.length < CHUNK_LENGTH) continue;
    yield asciiBytes(text);
    text = "";
  }
  yield asciiBytes(text);
}

class DumpWriter {
  readonly #root: Directory;
  /** Inodes with several names, and the escaped path of the first name met. */
  readonly #linked: Map<Inode, string | undefined>;

  constructor(root: Directory) {
    this.#root = root;
    this.#linked = new Map();
    for (const target of linkTargets(root)) this.#linked.set(target, undefined);
  }

  *lines(): Generator<string, void, undefined> {
    yield this.#line("/", "", this.#root);
    // Explicit stack: images nest deeper than calls may.
    const stack = [{ path: "", names: sortedEntries(this.#root), next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const entry = top.names[top.next++];
      if (entry === undefined) {
        stack.pop();
        continue;
      }
      const path = `${top.path}/${escapeField(entry[0])}`;
      const inode = entry[1] instanceof HardLink ? entry[1].target : entry[1];
      const isFirst = this.#linked.get(inode) === undefined;
      yield this.#line(path, path, inode);
      if (isFirst && isDirectory(inode)) {
        stack.push({ path, names: sortedEntries(inode), next: 0 });
      }
    }
  }

  /** One line; `linkPath` is how later names of the inode will refer to it. */
  #line(path: string, linkPath: string, inode: Inode): string {
    let mode = inode.mode.toString(8);
    let payload = optionalField(inode.target ?? inode.payload);
    if (this.#linked.has(inode)) {
      const first = this.#linked.get(inode);
      if (first === undefined) this.#linked.set(inode, linkPath);
      else {
        mode = `@${mode}`;
        payload = first;
      }
    }
    const type = inode.mode & S_IFMT;
    const size = type === S_IFLNK ? (inode.target?.length ?? 0) : inode.size;
    const content = inode.content === undefined ? "-" : escapeBytes(inode.content);
    let line =
      `${path} ${size} ${mode} ${inode.nlink} ${inode.uid} ${inode.gid} ${inode.rdev} ` +
      `${inode.mtimeSeconds}.${inode.mtimeNanoseconds} ${payload} ${content} ${inode.digest ?? "-"}`;
    for (const [key, value] of inode.xattrs) {
      line += ` ${escapeXattr(key)}=${escapeXattr(value)}`;
    }
    return `${line}\n`;
  }
}

/** Every inode that some hard link leads to. */
function linkTargets(root: Directory): Set<Inode> {
  const targets = new Set<Inode>();
  const queue: Directory[] = [root];
  for (const directory of queue) {
    for (const entry of directory.entries.values()) {
      if (entry instanceof HardLink) targets.add(entry.target);
      else if (entry.entries !== undefined) queue.push(entry as Directory);
    }
  }
  return targets;
}

/** The entries in bytewise order of their names. */
function sortedEntries(directory: Directory): [ByteString, Entry][] {
  const entries = [...directory.entries];
  let previous = "";
  for (const [name] of entries) {
    if (name < previous) return entries.sort(([a], [b]) => (a < b ? -1 : 1));
    previous = name;
  }
  return entries;
}

const needsEscape = /[^!-~]|\\/;
const escaped = /[^!-~]|\\/g;
const xattrNeedsEscape = /[^!-~]|[\\=]/;
const xattrEscaped = /[^!-~]|[\\=]/g;

const named = new Map([
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

function escapeUnit(unit: string): string {
  return named.get(unit) ?? `\\x${unit.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** A field that a parser reads back as `text`. */
function escapeField(text: string): string {
  return needsEscape.test(text) ? text.replace(escaped, escapeUnit) : text;
}

function escapeXattr(text: ByteString): string {
  return xattrNeedsEscape.test(text) ? text.replace(xattrEscaped, escapeUnit) : text;
}

/** "-" stands for an absent field, so a field that is one has to look different. */
function optionalField(text: string | undefined): string {
  if (text === undefined) return "-";
  return text === "-" ? "\\x2d" : escapeField(text);
}

function escapeBytes(bytes: Uint8Array): string {
  return optionalField(toByteString(bytes));
}

const encoder = new TextEncoder();

function asciiBytes(text: string): Uint8Array {
  return typeof Buffer === "undefined" ? encoder.encode(text) : Buffer.from(text, "latin1");
}
