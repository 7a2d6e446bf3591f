/**
 * Where the entries of a dump file go: directories by path, and hard links that may point forward.
 *
 * Spec: docs/image-format.md, "Paths" and "Hard links".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Directory, type Entry, HardLink, type Inode, isDirectory } from "./inode.ts";

const SLASH = 0x2f;

/** A link whose target is looked up when the whole file is read. */
interface PendingLink {
  readonly target: ByteString;
  readonly directory: Directory;
  readonly name: ByteString;
}

/** The tree as far as it is read. */
export class DumpTree {
  readonly #root: Directory;
  /** Every directory by its path: a slash before each name, "" for the root. */
  readonly #directories: Map<string, Directory>;
  readonly #pending = new Map<HardLink, PendingLink>();

  constructor(root: Directory) {
    this.#root = root;
    this.#directories = new Map([["", root]]);
  }

  /**
   * Adds `inode` at `path`.
   *
   * @throws {@link FormatError} `MALFORMED` for an invalid path, a missing parent or a name that
   *   exists
   */
  add(path: ByteString, inode: Inode): void {
    this.#place(path, inode);
    if (isDirectory(inode)) this.#directories.set(canonical(path), inode);
  }

  /** Adds a hard link at `path`; `target` may be added after it. */
  addLink(path: ByteString, target: ByteString): void {
    const link = new HardLink(this.#root); // stands in until `finish`
    this.#pending.set(link, { target, ...this.#place(path, link) });
  }

  /**
   * Resolves all hard links.
   *
   * @throws {@link FormatError} `MALFORMED` for a missing target or a circle of links
   */
  finish(): Directory {
    const resolved = new Map<HardLink, HardLink>();
    for (const [link, { target }] of this.#pending) {
      let entry = this.#find(target);
      if (!(entry instanceof HardLink)) {
        resolved.set(link, new HardLink(entry));
        continue;
      }
      // A link to a link: every link of the chain leads where the last one leads.
      const chain = new Set([link]);
      while (entry instanceof HardLink && !resolved.has(entry)) {
        if (chain.has(entry)) throw linkError(target, "a circle of hard links");
        chain.add(entry);
        entry = this.#find(this.#pending.get(entry)!.target);
      }
      const end = entry instanceof HardLink ? resolved.get(entry)! : new HardLink(entry);
      for (const passed of chain) resolved.set(passed, end);
    }
    for (const [link, { directory, name }] of this.#pending) {
      directory.entries.set(name, resolved.get(link)!);
    }
    return this.#root;
  }

  #place(path: ByteString, entry: Entry): { directory: Directory; name: ByteString } {
    let key: string = path;
    let slash = lastSlash(key);
    let directory = slash < 0 ? undefined : this.#directories.get(key.slice(0, slash));
    if (directory === undefined || slash === key.length - 1) {
      key = canonical(path);
      slash = lastSlash(key);
      directory = this.#directories.get(key.slice(0, slash));
    }
    if (directory === undefined) {
      throw pathError(key, "its parent directory is missing or not a directory");
    }
    const name = key.slice(slash + 1) as ByteString;
    if (name.length > limits.nameBytes)
      throw pathError(
        key,
        `a name: expected at most ${limits.nameBytes} bytes, got ${name.length}`,
      );
    if (name === "." || name === "..") throw pathError(key, "a name is . or ..");
    const { entries } = directory;
    const count = entries.size;
    entries.set(name, entry);
    // Cheaper than asking first; the tree is lost with the error.
    if (entries.size === count) throw pathError(key, "it exists already");
    return { directory, name };
  }

  #find(target: ByteString): Entry {
    const key = isCanonical(target) ? target : collapsed(target);
    if (key === "") return this.#root;
    const slash = lastSlash(key);
    const entry = this.#directories
      .get(key.slice(0, slash))
      ?.entries.get(key.slice(slash + 1) as ByteString);
    if (entry === undefined) throw linkError(target, "it does not exist");
    return entry;
  }
}

/** `/a/b` for `/a/b`, `a/b` and `//a//b`; a trailing slash is an error. */
function canonical(path: ByteString): string {
  if (isCanonical(path)) return path;
  if (path.endsWith("/")) throw pathError(path, "it ends with a slash");
  return collapsed(path);
}

/** As `lastIndexOf`, which takes several times as long for names of some ten bytes. */
function lastSlash(path: string): number {
  let at = path.length - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}

function isCanonical(path: ByteString): boolean {
  return path.startsWith("/") && !path.endsWith("/") && !path.includes("//");
}

function collapsed(path: ByteString): string {
  let out = "";
  for (const name of path.split("/")) if (name !== "") out += `/${name}`;
  return out;
}

function pathError(path: string, reason: string): FormatError {
  return new FormatError("MALFORMED", `path ${quoted(path)}: ${reason}`);
}

function linkError(target: ByteString, reason: string): FormatError {
  return new FormatError("MALFORMED", `hard link target ${quoted(target)}: ${reason}`);
}

const SHOWN = 200;

function quoted(path: string): string {
  const text = printable(path.slice(0, SHOWN) as ByteString);
  return path.length > SHOWN ? `"${text}..."` : `"${text}"`;
}
