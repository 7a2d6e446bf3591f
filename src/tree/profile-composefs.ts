/**
 * The profile `composefs-oci-v1`: the trees that composefs-rs, and with it bootc, makes of images,
 * bug for bug; what composefs-rs refuses, this refuses. Entries of all layers are applied one by
 * one, a whiteout also to its own layer; then the tree is made canonical: the root takes the
 * metadata of /usr, /run is emptied, and all xattrs but file capabilities are dropped.
 *
 * Spec: docs/profiles.md, "The profile composefs-oci-v1"; composefs-rs, composefs-oci "design" and
 * `FileSystem::transform_for_oci`.
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Directory, Inode, S_IFCHR, isDirectory, typeOf } from "./inode.ts";
import { type Layer, MergeEntry, type Rule, newRoot, quote } from "./merge-entry.ts";
import { separateHardLinks } from "./merge-links.ts";
import { WHITEOUT, applyWhiteout } from "./whiteouts.ts";

const NAME = "composefs-oci-v1";

/** Which xattrs stay: file capabilities only, or `user.*` too (composefs-rs `keep-user-xattrs`). */
export type XattrMode = "composefs" | "composefs-user";

/** Merges layers, lowest first. */
export class ComposefsMerge {
  readonly #root: Directory = newRoot();
  readonly #xattrs: XattrMode;
  #names = 0; // made so far, in all layers

  constructor(xattrs: XattrMode = "composefs") {
    this.#xattrs = xattrs;
  }

  /** @throws {@link FormatError} naming the entry and the rule it breaks */
  add(layer: Layer): void {
    for (const source of layer.entries) this.#add(new MergeEntry(source, layer.label, NAME));
  }

  /**
   * The merged tree. Nothing can be added afterwards.
   *
   * @throws {@link FormatError} `UNSUPPORTED` for an image that composefs-rs refuses as a whole
   */
  finish(): Directory {
    this.#canonicalise();
    separateHardLinks(this.#root);
    checkWhiteouts(this.#root);
    return this.#root;
  }

  #add(item: MergeEntry): void {
    const { entry } = item;
    if (entry.segments !== undefined) {
      throw item.refuse("UNSUPPORTED", "types", "expected no sparse file, got one");
    }
    if (entry.sizeIgnored) {
      // composefs-rs skips as many bytes of the archive.
      throw item.refuse("UNSUPPORTED", "types", `expected a ${entry.type} of size 0, got another`);
    }
    if (entry.mtimeSeconds < 0n) {
      const message = `mtime: expected no time before 1970, got ${entry.mtimeSeconds}`;
      throw item.refuse("UNSUPPORTED", "times", message);
    }
    const names = item.split(entry.path, "path");
    const name = names.pop();
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
    const target = entry.type === "hardlink" ? this.#linked(item) : undefined;
    const parent = this.#directory(item, names, "parents");
    if (name.startsWith(WHITEOUT)) applyWhiteout(name, parent);
    else this.#place(item, parent, name, target);
  }

  #place(item: MergeEntry, parent: Directory, name: ByteString, target: Inode | undefined): void {
    const old = parent.entries.get(name);
    if (item.entry.type === "directory" && old !== undefined && isDirectory(old)) {
      item.describe(old);
      return;
    }
    if (++this.#names > limits.inodes) {
      throw item.refuse("LIMIT", "size", `expected at most ${limits.inodes} entries, got more`);
    }
    parent.entries.set(name, target ?? item.inode());
  }

  #linked(item: MergeEntry): Inode {
    const rule = "hard links";
    const path = item.split(item.entry.linkPath, "link target");
    const shown = quote(item.entry.linkPath);
    const name = path.pop();
    if (name === undefined) {
      throw item.refuse("MALFORMED", rule, `target ${shown}: expected a file, got the root`);
    }
    const found = this.#directory(item, path, rule).entries.get(name) as Inode | undefined;
    if (found === undefined) {
      throw item.refuse("MALFORMED", rule, `target ${shown}: expected an earlier entry, got none`);
    }
    if (isDirectory(found)) {
      throw item.refuse("MALFORMED", rule, `target ${shown}: expected a file, got a directory`);
    }
    return found;
  }

  #directory(item: MergeEntry, names: readonly ByteString[], rule: Rule): Directory {
    let directory = this.#root;
    for (const [depth, name] of names.entries()) {
      const child = directory.entries.get(name) as Inode | undefined;
      if (child === undefined || !isDirectory(child)) {
        const path = quote(ascii(names.slice(0, depth + 1).join("/")));
        const got = child === undefined ? "nothing" : describeType(child);
        const message = `expected a directory at ${path}, got ${got}`;
        throw item.refuse("UNSUPPORTED", rule, message, hintFor(child));
      }
      directory = child;
    }
    return directory;
  }

  #canonicalise(): void {
    const root = this.#root;
    const usr = root.entries.get(ascii("usr"));
    if (!(usr instanceof Inode) || !isDirectory(usr)) {
      throw refusedImage("root", `expected a directory /usr, got ${describeType(usr)}`);
    }
    root.mode = usr.mode;
    root.uid = usr.uid;
    root.gid = usr.gid;
    root.mtimeSeconds = usr.mtimeSeconds;
    root.mtimeNanoseconds = usr.mtimeNanoseconds;
    root.xattrs = new Map(usr.xattrs);
    const run = root.entries.get(ascii("run"));
    if (run instanceof Inode) {
      if (!isDirectory(run)) {
        throw refusedImage("/run", `expected a directory /run or none, got ${describeType(run)}`);
      }
      run.entries.clear();
      run.mtimeSeconds = usr.mtimeSeconds;
      run.mtimeNanoseconds = usr.mtimeNanoseconds;
    }
    eachInode(root, (inode) => {
      inode.xattrs = new Map(
        [...inode.xattrs].filter(
          ([key]) =>
            key === "security.capability" ||
            (this.#xattrs === "composefs-user" && key.startsWith("user.")),
        ),
      );
    });
  }
}

/** composefs-rs refuses an overlay whiteout that has more than one name. */
function checkWhiteouts(root: Directory): void {
  eachInode(root, (inode) => {
    if (typeOf(inode) === S_IFCHR && inode.rdev === 0 && inode.nlink > 1) {
      throw refusedImage(
        "devices",
        "expected one name for a character device 0:0, got a hard link",
      );
    }
  });
}

/** Calls `visit` for every inode, several times for one with several names. */
function eachInode(root: Directory, visit: (inode: Inode) => void): void {
  const directories = [root];
  visit(root);
  for (let directory = directories.pop(); directory; directory = directories.pop()) {
    for (const entry of directory.entries.values()) {
      if (!(entry instanceof Inode)) continue;
      visit(entry);
      if (isDirectory(entry)) directories.push(entry);
    }
  }
}

function hintFor(child: Inode | undefined): string | undefined {
  const does =
    child === undefined ? "makes it" : child.target === undefined ? undefined : "follows it";
  return does && `composefs-rs refuses this layer too; the profile oci-v1 ${does}`;
}

function describeType(entry: unknown): string {
  if (!(entry instanceof Inode)) return "nothing";
  if (entry.target !== undefined) return `a symlink to ${quote(entry.target)}`;
  return isDirectory(entry) ? "a directory" : "another kind of file";
}

function refusedImage(rule: Rule, message: string): FormatError {
  return new FormatError("UNSUPPORTED", `image: ${message} (${NAME}: ${rule})`, {
    hint: "composefs-rs refuses this image too; the profile oci-v1 takes it",
  });
}
