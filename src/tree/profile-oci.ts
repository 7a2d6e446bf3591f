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
import { limits } from "../limits.ts";
import { type Directory, Inode, isDirectory, newDirectory } from "./inode.ts";
import { type Layer, MergeEntry, newRoot, quote } from "./merge-entry.ts";
import { type LayerParts, type LocatedEntry, joinPath, sortLayer } from "./merge-layer.ts";
import { separateHardLinks } from "./merge-links.ts";
import { OPAQUE, WHITEOUT, applyWhiteout } from "./whiteouts.ts";

const NAME = "oci-v1";

export interface OciOptions {
  /** Refuses a path that comes twice in one layer. */
  readonly strict?: boolean;
  readonly warn?: (message: string) => void;
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
    const { whiteouts, leftovers } = parts;
    if (leftovers > 0) this.#warn(`${layer.label}: skipped ${leftovers} leftovers of AUFS`);
    for (const whiteout of whiteouts) this.#hide(whiteout, parts);
    const seen = new Map<string, number>(); // paths, and where their last entry stands
    let repeated: MergeEntry | undefined;
    let repeats = 0;
    for (const source of parts.entries) {
      const item = new MergeEntry(source, layer.label, NAME);
      const names = item.split(item.entry.path, "path");
      const path = joinPath(names, item.entry.path);
      const earlier = seen.get(path);
      if (earlier !== undefined) {
        if (this.#strict) {
          const message = `expected each path once in a layer, got it at ${earlier} too`;
          throw item.refuse("AMBIGUOUS", "repeated paths, strict", message);
        }
        repeated ??= item;
        repeats++;
      }
      seen.set(path, item.entry.headerOffset);
      this.#add({ item, names }, parts);
    }
    if (repeated !== undefined) {
      this.#warn(`${repeated.place()}: a path that the layer has already (${repeats} such in all)`);
    }
  }

  /** The merged tree. Nothing can be added afterwards. */
  finish(): Directory {
    separateHardLinks(this.#root);
    return this.#root;
  }

  /** Removes what a whiteout hides. The tree holds lower layers only, as yet. */
  #hide({ item, names }: LocatedEntry, { paths }: LayerParts): void {
    let directory = this.#root;
    for (const [depth, name] of names.slice(0, -1).entries()) {
      const child = directory.entries.get(name) as Inode | undefined;
      if (child === undefined) return;
      if (!isDirectory(child)) {
        const path = names.slice(0, depth + 1);
        // The whiteout is not about a link that the layer itself replaces.
        if (child.target === undefined || paths().has(path.join("/"))) return;
        const message = `expected a directory at ${quotePath(path)}, got a symlink to ${quote(child.target)}`;
        throw item.refuse("AMBIGUOUS", "whiteouts below symlinks", message);
      }
      directory = child;
    }
    applyWhiteout(names.at(-1)!, directory);
  }

  #add({ item, names }: LocatedEntry, parts: LayerParts): void {
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
    if (entry.type !== "directory" && namesDirectory(entry.path)) {
      const message = `expected no "/" at the end for a ${entry.type}, got one`;
      throw item.refuse("AMBIGUOUS", "paths", message);
    }
    const target = entry.type === "hardlink" ? this.#linked(item, names, parts) : undefined;
    const parent = this.#parent(item, names);
    const old = parent.entries.get(name);
    if (entry.type === "directory" && old !== undefined && isDirectory(old)) {
      item.describe(old);
      return;
    }
    this.#count(item);
    parent.entries.set(name, target ?? item.inode());
  }

  /** The parent directory of the entry; missing directories on the way are made. */
  #parent(item: MergeEntry, names: readonly ByteString[]): Directory {
    let directory = this.#root;
    for (let depth = 0; depth < names.length - 1; depth++) {
      const name = names[depth]!;
      let child = directory.entries.get(name) as Inode | undefined;
      if (child === undefined) {
        this.#count(item);
        child = newDirectory(0o755);
        directory.entries.set(name, child);
      }
      if (!isDirectory(child)) {
        const path = quotePath(names.slice(0, depth + 1));
        if (child.target === undefined) {
          const message = `expected a directory at ${path}, got another kind of file`;
          throw item.refuse("MALFORMED", "parents", message);
        }
        // Tools disagree: umoci follows it inside the root, podman replaces it.
        const message = `expected a directory at ${path}, got a symlink to ${quote(child.target)}`;
        throw item.refuse("AMBIGUOUS", "parents", message);
      }
      directory = child;
    }
    return directory;
  }

  /** What a hard link leads to, in the tree merged so far. */
  #linked(item: MergeEntry, names: readonly ByteString[], parts: LayerParts): Inode {
    const rule = "hard links";
    const path = item.split(item.entry.linkPath, "link target");
    const shown = quote(item.entry.linkPath);
    if (samePath(path, names)) {
      throw item.refuse("MALFORMED", rule, "expected another file as target, got the link itself");
    }
    let found: Inode | undefined = this.#root;
    for (const name of path) {
      found = isDirectory(found) ? (found.entries.get(name) as Inode | undefined) : undefined;
      if (found === undefined) {
        const message = `target ${shown}: expected an earlier entry, got ${whyMissing(path, parts)}`;
        throw item.refuse("MALFORMED", rule, message);
      }
    }
    if (isDirectory(found) || namesDirectory(item.entry.linkPath)) {
      throw item.refuse("MALFORMED", rule, `target ${shown}: expected a file, got a directory`);
    }
    return found;
  }

  #count(item: MergeEntry): void {
    if (++this.#names > limits.inodes) {
      throw item.refuse("LIMIT", "size", `expected at most ${limits.inodes} entries, got more`);
    }
  }
}

/** Whether a path can only lead to a directory, by how it ends. */
function namesDirectory(path: ByteString): boolean {
  return path.endsWith("/") || path.endsWith("/.");
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
