/**
 * What a profile merges: layers of tar entries. An entry becomes an inode, or is refused with an
 * error that names the layer, the entry and the rule it breaks.
 *
 * Spec: docs/profiles.md, "Entries and inodes".
 *
 * @module
 */
import { type ByteString, ascii, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { TarEntry, TarEntryType } from "../tar/entry.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { INLINE_BYTES } from "./inline-content.ts";
import {
  type Directory,
  Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from "./inode.ts";

/** An entry of a layer, and where its content is. */
export interface LayerEntry {
  readonly entry: TarEntry;
  /** The content of a regular file of up to `INLINE_BYTES` bytes. */
  readonly content?: Uint8Array;
  /** The object that holds the content of a larger one. */
  readonly digest?: VerityDigest;
}

export interface Layer {
  /** For messages: which of the image's layers this is. */
  readonly label: string;
  /** In the order of the archive. */
  readonly entries: Iterable<LayerEntry>;
}

const formats: Readonly<Record<Exclude<TarEntryType, "hardlink">, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  character: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};

/** The codes with which a profile refuses an entry. */
type Code = FormatError["code"];

/** The rules by which each profile refuses; docs/profiles.md has them by these names. */
export const profileRules = {
  "oci-v1": [
    "paths",
    "parents",
    "symlinks",
    "symlinks, strict",
    "repeated paths, strict",
    "whiteouts",
    "leftovers, strict",
    "hard links",
    "types",
    "size",
  ],
  "composefs-oci-v1": [
    "types",
    "times",
    "paths",
    "parents",
    "hard links",
    "size",
    "root",
    "/run",
    "devices",
  ],
} as const;

export type ProfileName = keyof typeof profileRules;

export type Rule = (typeof profileRules)[ProfileName][number];

/** One entry of a layer on its way into the tree. */
export class MergeEntry {
  readonly entry: TarEntry;
  readonly #source: LayerEntry;
  readonly #label: string;
  readonly #profile: ProfileName;

  constructor(source: LayerEntry, label: string, profile: ProfileName) {
    this.entry = source.entry;
    this.#source = source;
    this.#label = label;
    this.#profile = profile;
  }

  /**
   * The error that refuses this entry: `rule` names the rule, `message` states what was expected
   * and found, `hint` what the user can do.
   */
  refuse(code: Code, rule: Rule, message: string, hint?: string): FormatError {
    const text = `${this.place()}: ${message} (${this.#profile}: ${rule})`;
    return new FormatError(code, text, { hint });
  }

  /** The entry for messages: layer, path and place in the archive. */
  place(): string {
    return `${this.#label}: entry ${quote(this.entry.path)} at ${this.entry.headerOffset}`;
  }

  /**
   * The names on the way to `path`, from the root on; empty for the root itself. Slashes at both
   * ends, repeated slashes and `.` are left out.
   *
   * @throws {@link FormatError} for `..`, `LIMIT` for what is too long
   */
  split(path: ByteString, what: string): ByteString[] {
    if (path.length > limits.pathBytes) {
      const message = `${what}: expected at most ${limits.pathBytes} bytes, got ${path.length}`;
      throw this.refuse("LIMIT", "paths", message);
    }
    const names: ByteString[] = [];
    for (let at = 0; at < path.length;) {
      const slash = path.indexOf("/", at);
      const end = slash < 0 ? path.length : slash;
      const name = ascii(path.slice(at, end));
      at = end + 1;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        throw this.refuse("MALFORMED", "paths", `${what}: expected no "..", got ${quote(path)}`);
      }
      if (name.length > limits.nameBytes) {
        const message = `${what}: expected names of at most ${limits.nameBytes} bytes, got ${name.length}`;
        throw this.refuse("LIMIT", "paths", message);
      }
      names.push(name);
    }
    if (names.length > limits.depth) {
      const message = `${what}: expected at most ${limits.depth} levels, got ${names.length}`;
      throw this.refuse("LIMIT", "paths", message);
    }
    return names;
  }

  /** A new inode of the entry's type; not for hard links. Its nlink counts no names yet. */
  inode(): Inode {
    const { entry } = this;
    if (entry.type === "hardlink") throw new TypeError("a hard link has no inode of its own");
    const inode = new Inode(formats[entry.type]);
    this.describe(inode);
    inode.nlink = 0;
    if (entry.type === "symlink") {
      if (entry.linkPath.length > limits.symlinkBytes) {
        const message = `target: expected at most ${limits.symlinkBytes} bytes, got ${entry.linkPath.length}`;
        throw this.refuse("LIMIT", "types", message);
      }
      inode.target = entry.linkPath;
    } else if (entry.type === "file") this.#addContent(inode);
    else inode.rdev = entry.rdev;
    return inode;
  }

  /** Gives `inode` the entry's metadata instead of its own; the type stays. */
  describe(inode: Inode): void {
    const { entry } = this;
    inode.mode = formats[entry.type as "file"] | (entry.mode & 0o7777);
    inode.uid = entry.uid;
    inode.gid = entry.gid;
    inode.mtimeSeconds = entry.mtimeSeconds;
    inode.mtimeNanoseconds = entry.mtimeNanoseconds;
    inode.xattrs = entry.xattrs;
  }

  #addContent(inode: Inode): void {
    const { size } = this.entry;
    const { content, digest } = this.#source;
    inode.size = BigInt(size);
    if (size === 0) return;
    if (size <= INLINE_BYTES) {
      if (content?.length !== size) throw new TypeError(`${this.place()}: content is not given`);
      inode.content = content;
      return;
    }
    if (digest === undefined) throw new TypeError(`${this.place()}: digest is not given`);
    inode.digest = digest;
  }
}

/** The root before any layer sets its metadata. */
export function newRoot(): Directory {
  return new Inode(S_IFDIR | 0o755) as Directory;
}

/** A path or name for messages, in quotes. */
export function quote(path: ByteString): string {
  const text = printable(path);
  return `"${text.length <= 300 ? text : `${text.slice(0, 300)}…`}"`;
}
