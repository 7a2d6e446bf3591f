/**
 * Guesses why two trees differ: each rule looks at all differences of one kind and names their
 * usual cause.
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import type { TreeDifference } from "../tree/compare.ts";
import { type Directory, type Entry, type Inode, S_IFDIR, inodeOf, typeOf } from "../tree/inode.ts";

/** A likely cause, and how many differences it explains. */
export interface Cause {
  readonly cause: string;
  readonly differences: number;
  /** The first path. */
  readonly example: string;
}

/** Differences of one kind. */
class Tally {
  count = 0;
  example: ByteString | undefined;
  directories = 0;
  readonly lefts = new Set<string>();
  readonly rights = new Set<string>();

  add({ path, left, right }: TreeDifference, isDirectory: boolean): void {
    this.count++;
    this.example ??= path;
    if (isDirectory) this.directories++;
    // Enough to see whether it is always the same.
    if (this.lefts.size < 3) this.lefts.add(left);
    if (this.rights.size < 3) this.rights.add(right);
  }
}

/** Counts differences by kind. */
export class CauseFinder {
  readonly #tallies = new Map<string, Tally>();
  readonly #root: Directory;

  /** @param left the tree in which paths are looked up, for the type of what they lead to */
  constructor(left: Directory) {
    this.#root = left;
  }

  add(difference: TreeDifference): void {
    const kind = kindOf(difference);
    const tally = this.#tallies.get(kind) ?? new Tally();
    this.#tallies.set(kind, tally);
    tally.add(difference, this.#isDirectory(difference.path));
  }

  /** The causes, those with the most differences first. */
  causes(): Cause[] {
    const causes = [...this.#tallies].map(([kind, tally]) => ({
      cause: explain(kind, tally),
      differences: tally.count,
      example: tally.example === "" ? "/" : printable(tally.example!),
    }));
    return causes.sort((a, b) => b.differences - a.differences);
  }

  #isDirectory(path: ByteString): boolean {
    let inode: Inode | undefined = this.#root;
    for (const name of path === "" ? [] : path.split("/")) {
      const entry: Entry | undefined = inode?.entries?.get(name as ByteString);
      inode = entry && inodeOf(entry);
    }
    return inode !== undefined && typeOf(inode) === S_IFDIR;
  }
}

/** The kind of a difference; each kind has an explanation of its own. */
function kindOf({ path, what, left, right }: TreeDifference): string {
  if (what === "entry") {
    const side = left === "nothing" ? "right" : "left";
    const isDirectory = (side === "left" ? left : right) === "a directory";
    return isDirectory ? `directory only ${side}` : `entry only ${side}`;
  }
  if (path === "" && !what.startsWith("xattr")) return "root";
  if (what === "mtime" && left.split(".")[0] === right.split(".")[0]) return "nanoseconds";
  if (what === "digest") {
    if (left === "none" || right === "none") return "inline";
    return left.length === right.length ? "digest" : "algorithm";
  }
  if (what === "content" && (left.startsWith("none") || right.startsWith("none"))) return "inline";
  if (what.startsWith("xattr ")) return `xattr ${xattrClass(what.slice(6))}`;
  return what === "nlink" ? "hard link" : what;
}

function xattrClass(key: string): string {
  if (key === "security.selinux") return key;
  if (key.startsWith("system.posix_acl_")) return "ACL";
  if (key.includes("overlay.")) return "overlay";
  return `${key.split(".")[0]!}.*`;
}

function explain(kind: string, tally: Tally): string {
  const onlyDirectories = tally.directories === tally.count;
  const [right] = tally.rights;
  const [left] = tally.lefts;
  switch (kind) {
    case "directory only left":
    case "directory only right":
      return "directories that one side does not have: parents that no layer names (made up by one tool, refused or left out by the other), or files that were removed";
    case "entry only left":
    case "entry only right":
      return "files that one side does not have: another version of the source, a layer that is missing, or whiteouts that were applied otherwise";
    case "root":
      return "the root directory's own owner, mode or time: layers seldom name it, and each tool makes it up in its own way (a profile copies it from /usr)";
    case "nanoseconds":
      return "times differ below the second: one source keeps whole seconds (a tar without pax headers), the other does not";
    case "mtime":
      if (onlyDirectories) {
        return "times of directories only: parents that no layer names get a time made up by the tool, or a directory was touched by unpacking";
      }
      if (tally.rights.size === 1) return `every differing time is ${right} on the right: clamped`;
      if (tally.lefts.size === 1) return `every differing time is ${left} on the left: clamped`;
      return "times: the source was built or unpacked again";
    case "owner":
      if (tally.lefts.size === 1 && tally.rights.size === 1) {
        return `owners: ${left} is ${right} throughout, so they were mapped (unpacked or built as another user)`;
      }
      return "owners: unpacked without the right to give files away, or mapped";
    case "mode":
      return "permissions: a umask, or set-user-id bits that were dropped";
    case "digest":
    case "content":
    case "size":
      return "contents: files have other bytes";
    case "inline":
      return "small files are in the image on one side and objects on the other: another limit for inline content (64 bytes is composefs's)";
    case "algorithm":
      return "digests of another algorithm (sha256, sha512)";
    case "hard link":
      return "hard links: one side has copies, or links that another layer broke up";
    case "type":
      return "types: what is a file on one side is something else on the other (a link that was followed, a whiteout that was kept)";
    case "target":
      return "targets of symlinks: made absolute or relative, or another version of the source";
    case "device":
      return "device numbers: another encoding of major and minor";
    case "xattr security.selinux":
      return "SELinux labels: one side was read from a labelled file system, or labelled afterwards";
    case "xattr ACL":
      return "ACLs: kept by one side only";
    case "xattr overlay":
      return "overlayfs xattrs: kept, escaped or dropped; an image made from a mounted layer has some";
    default:
      return `extended attributes (${kind.slice(6)}): the one side keeps what the other's policy drops`;
  }
}
