/**
 * The profile `oci-v1`: any image that the OCI image specification defines, merged as it specifies.
 * Whiteouts of a layer act on the layers below it only, wherever in the layer they stand. Where
 * real unpackers disagree, the layer is refused. The result for a given image never changes: a
 * changed rule is a new profile.
 *
 * Spec: docs/profiles.md, "The profile oci-v1"; OCI image specification, layer.md, "Representing
 * Changes".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { FollowedLinks } from "./followed-links.ts";
import { type Directory, Inode, isDirectory, newDirectory } from "./inode.ts";
import { hideLower } from "./lower-whiteouts.ts";
import { type Layer, MergeEntry, newRoot, quote } from "./merge-entry.ts";
import { type LayerParts, type LocatedEntry, joinPath, sortLayer } from "./merge-layer.ts";
import { separateHardLinks } from "./merge-links.ts";
import { type Place, type Way, endOf, followWay } from "./symlink-way.ts";
import { OPAQUE, WHITEOUT } from "./whiteouts.ts";

const NAME = "oci-v1";

export interface OciOptions {
  /**
   * Refuses a path that comes twice in one layer, one that goes through a symlink, and leftovers of
   * AUFS.
   */
  readonly strict?: boolean;
  readonly warn?: (message: string) => void;
}

/** A layer while its entries are added. */
interface OpenLayer {
  readonly parts: LayerParts;
  readonly followed: FollowedLinks;
  /** Path to inode of what AUFS left in this layer: no name of the tree, but hard links lead to it. */
  readonly leftovers: Map<string, Inode>;
}

/** Merges layers, lowest first. */
export class OciMerge {
  readonly #root: Directory = newRoot();
  readonly #strict: boolean;
  readonly #warn: (message: string) => void;
  #names = 0; // made so far, in all layers

  constructor(options: OciOptions = {}) {
    this.#strict = options.strict ?? false;
    this.#warn = options.warn ?? (() => {});
  }

  /** @throws {@link FormatError} naming the entry and the rule it breaks */
  add(layer: Layer): void {
    const parts = sortLayer(layer, NAME);
    const followed = new FollowedLinks(this.#strict);
    const open: OpenLayer = { parts, followed, leftovers: new Map() };
    if (parts.leftovers > 0 && !this.#strict) {
      this.#warn(`${layer.label}: skipped ${parts.leftovers} leftovers of AUFS`);
    }
    hideLower(this.#root, parts, followed);
    const seen = new Map<string, number>(); // paths, and where their last entry stands
    let repeated: MergeEntry | undefined;
    let repeats = 0;
    for (const source of parts.entries) {
      const item = new MergeEntry(source, layer.label, NAME);
      const names = item.split(item.entry.path, "path");
      const path = joinPath(names, item.entry.path);
      if (parts.isLeftover(source)) {
        if (this.#strict) {
          const hint = "without --strict it is skipped";
          const message = `expected no names that begin with ".wh..wh.", got one`;
          throw item.refuse("AMBIGUOUS", "leftovers, strict", message, hint);
        }
        this.#keepLeftover({ item, names }, path, open);
        continue;
      }
      const earlier = seen.get(path);
      if (earlier !== undefined) {
        if (this.#strict) {
          const message = `expected each path once in a layer, got it at ${earlier} too`;
          const hint = "without --strict the later entry counts";
          throw item.refuse("AMBIGUOUS", "repeated paths, strict", message, hint);
        }
        repeated ??= item;
        repeats++;
      }
      seen.set(path, item.entry.headerOffset);
      this.#add({ item, names }, open);
    }
    if (repeated !== undefined) {
      this.#warn(`${repeated.place()}: a path that the layer has already (${repeats} such in all)`);
    }
    const warning = followed.warning();
    if (warning !== undefined) this.#warn(warning);
  }

  /** The merged tree. Nothing can be added afterwards. */
  finish(): Directory {
    separateHardLinks(this.#root);
    return this.#root;
  }

  #add({ item, names }: LocatedEntry, open: OpenLayer): void {
    const { entry } = item;
    const name = names.at(-1);
    if (name === undefined) {
      if (entry.type !== "directory") {
        throw item.refuse(
          "MALFORMED",
          "paths",
          `expected a directory as root, got a ${entry.type}`,
        );
      }
      item.describe(this.#root);
      return;
    }
    const misnamed = entry.type === "file" ? namesDirectory(entry.path) : endsInDot(entry.path);
    if (entry.type !== "directory" && misnamed) {
      const message = `expected no "/" at the end for a ${entry.type}, got one`;
      throw item.refuse("AMBIGUOUS", "paths", message);
    }
    const directory = this.#parent(item, names, open);
    const old = directory.entries.get(name);
    if (entry.type === "directory" && old !== undefined && isDirectory(old)) {
      item.describe(old);
      return;
    }
    this.#count(item);
    const target =
      entry.type === "hardlink" ? this.#linked(item, open, { directory, name }) : undefined;
    directory.entries.set(name, target ?? newInode(item));
  }

  /** Keeps a leftover of AUFS for the hard links to it; one that cannot be a target is skipped. */
  #keepLeftover({ item }: LocatedEntry, path: string, open: OpenLayer): void {
    const { type } = item.entry;
    if (type === "directory") return;
    try {
      open.leftovers.set(path, type === "hardlink" ? this.#linked(item, open) : newInode(item));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      open.leftovers.delete(path);
    }
  }

  /** The parent directory of the entry; missing directories on the way are made. */
  #parent(item: MergeEntry, names: readonly ByteString[], open: OpenLayer): Directory {
    let directory = this.#root;
    for (let depth = 0; depth < names.length - 1; depth++) {
      const child = directory.entries.get(names[depth]!) as Inode | undefined;
      if (child === undefined) return this.#make(item, directory, names.slice(depth, -1));
      if (!isDirectory(child)) return this.#parentAt(item, names.slice(0, -1), open);
      directory = child;
    }
    return directory;
  }

  /** As {@link #parent}, when something on the way is no directory. */
  #parentAt(item: MergeEntry, names: readonly ByteString[], open: OpenLayer): Directory {
    const way = this.#follow(item, names, "path", open);
    if (way.obstacle !== undefined) {
      const message = `expected a directory at ${quotePath(way.names)}, got another kind of file`;
      throw item.refuse("MALFORMED", "parents", message);
    }
    const known = way.directories.length - 1;
    return this.#make(item, way.directories.at(-1)!, way.names.slice(known));
  }

  #make(item: MergeEntry, directory: Directory, names: readonly ByteString[]): Directory {
    let made = directory;
    for (const name of names) {
      if (name.startsWith(WHITEOUT) || name.length > limits.nameBytes) {
        // It can only come from the target of a symlink.
        const message = `expected a symlink to the name of a file, got one to ${quote(name)}`;
        throw item.refuse("MALFORMED", "symlinks", message);
      }
      this.#count(item);
      const child = newDirectory(0o755);
      made.entries.set(name, child);
      made = child;
    }
    return made;
  }

  /**
   * What a hard link leads to, in the tree merged so far; `place` is where the link shall stand,
   * unless it is a leftover of AUFS.
   */
  #linked(item: MergeEntry, open: OpenLayer, place?: Place): Inode {
    const rule = "hard links";
    const path = item.split(item.entry.linkPath, "link target");
    const shown = quote(item.entry.linkPath);
    const leftover = open.leftovers.get(path.join("/"));
    if (leftover !== undefined) return leftover;
    const name = path.at(-1);
    const directory = this.#find(item, path.slice(0, -1), open);
    if (directory !== undefined && directory === place?.directory && name === place.name) {
      throw item.refuse("MALFORMED", rule, "expected another file as target, got the link itself");
    }
    const found =
      name === undefined ? this.#root : (directory?.entries.get(name) as Inode | undefined);
    if (found === undefined) {
      const message = `target ${shown}: expected an earlier entry, got ${whyMissing(path, open.parts)}`;
      throw item.refuse("MALFORMED", rule, message);
    }
    if (isDirectory(found) || namesDirectory(item.entry.linkPath)) {
      throw item.refuse("MALFORMED", rule, `target ${shown}: expected a file, got a directory`);
    }
    if (place !== undefined && this.#passes(item, path.slice(0, -1), place)) {
      // Tools remove what the link replaces, and then find no target.
      const message = `target ${shown}: expected a file elsewhere, got one behind what the link replaces`;
      throw item.refuse("MALFORMED", rule, message);
    }
    return found;
  }

  /** The directory at the end of `names`; undefined when there is none. */
  #find(item: MergeEntry, names: readonly ByteString[], open: OpenLayer): Directory | undefined {
    let directory = this.#root;
    for (const name of names) {
      const child = directory.entries.get(name) as Inode | undefined;
      if (child === undefined) return undefined;
      if (!isDirectory(child)) return endOf(this.#follow(item, names, "link target", open));
      directory = child;
    }
    return directory;
  }

  /** Whether the way along `names` leads through a place. */
  #passes(item: MergeEntry, names: readonly ByteString[], place: Place): boolean {
    const old = place.directory.entries.get(place.name) as Inode | undefined;
    if (old === undefined || (!isDirectory(old) && old.target === undefined)) return false;
    const isElsewhere = ({ directory, name }: Place) =>
      directory !== place.directory || name !== place.name;
    return followWay(this.#root, names, item, isElsewhere) === undefined;
  }

  /** Where `names` lead, symlinks followed. */
  #follow(item: MergeEntry, names: readonly ByteString[], what: string, open: OpenLayer): Way {
    return followWay(this.#root, names, item, (step) => {
      if (step.link !== undefined) open.followed.note(item, what, step.link);
      return true;
    })!;
  }

  #count(item: MergeEntry): void {
    if (++this.#names > limits.inodes) {
      throw item.refuse("LIMIT", "size", `expected at most ${limits.inodes} entries, got more`);
    }
  }
}

function newInode(item: MergeEntry): Inode {
  const inode = item.inode();
  // The only ones that Linux gives to a symlink.
  if (inode.target !== undefined) inode.mode |= 0o777;
  return inode;
}

/** Whether a path can only lead to a directory, by how it ends. */
function namesDirectory(path: ByteString): boolean {
  return path.endsWith("/") || path.endsWith("/.");
}

/** Of anything but files and directories tools leave a slash at the end away, but not a dot. */
function endsInDot(path: ByteString): boolean {
  return /\/\.\/*$/.test(path);
}

function whyMissing(path: readonly ByteString[], { whiteouts, paths }: LayerParts): string {
  if (paths().has(path.join("/"))) return "a later one";
  // The whiteout comes first, wherever it stands: tools disagree about a link before it.
  const isHidden = whiteouts.some(({ names }) => {
    const depth = names.length - 1;
    const last = names[depth]!;
    const hides = last === OPAQUE || last === WHITEOUT + path[depth];
    return hides && depth < path.length && samePath(names.slice(0, depth), path.slice(0, depth));
  });
  return isHidden ? "one that a whiteout of the same layer hides" : "none";
}

function samePath(a: readonly ByteString[], b: readonly ByteString[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function quotePath(names: readonly ByteString[]): string {
  return quote(ascii(names.join("/")));
}
