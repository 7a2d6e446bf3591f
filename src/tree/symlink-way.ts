/**
 * Where a path leads in a tree when the symlinks on its way are followed: within the root, as
 * `chroot` would, and only so far as {@link limits} say.
 *
 * Spec: docs/profiles.md, "symlinks"; path_resolution(7).
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { limits } from "../limits.ts";
import { type Directory, Inode, isDirectory } from "./inode.ts";
import { type MergeEntry, quote } from "./merge-entry.ts";
import { splitPath } from "./paths.ts";

/** A place in the tree: a name in a directory. */
export interface Place {
  readonly directory: Directory;
  readonly name: ByteString;
}

/** What is at a place on the way. */
export interface Step extends Place {
  readonly child: Inode;
  /** Of a symlink: says where it is and where it leads; to be called during the visit. */
  readonly link: (() => string) | undefined;
}

/** Where a path leads. */
export interface Way {
  /** The directories on the way, from the root to the last that exists. */
  readonly directories: readonly Directory[];
  /** The names of those below the root, then those that do not exist. */
  readonly names: readonly ByteString[];
  /** What stands at the last name, when it is neither a directory nor missing. */
  readonly obstacle: Inode | undefined;
}

/** The directory at the end of a way; undefined when there is none. */
export function endOf({ directories, names }: Way): Directory | undefined {
  return names.length < directories.length ? directories.at(-1) : undefined;
}

/** The end of a symlink's target among the names that are still to come. */
interface TargetEnd {
  readonly link: Place;
}

/**
 * Follows `names` from the root on. Every name of the path is that of a directory or of a symlink
 * to one; a missing one may be made by the caller, so `..` behind it leads back to where it would
 * be. Takes time in proportion to the bytes of the path and of the targets.
 *
 * `visit` is shown what exists on the way, and stops the walk with `false`.
 *
 * @returns undefined when `visit` stopped the walk
 * @throws {@link FormatError} `MALFORMED` for symlinks that lead in a circle, `LIMIT` for too many
 *   of them, or for targets that are too long
 */
export function followWay(
  root: Directory,
  names: readonly ByteString[],
  item: MergeEntry,
  visit: (step: Step) => boolean,
): Way | undefined {
  const directories = [root];
  const taken: ByteString[] = [];
  const coming: (ByteString | TargetEnd)[] = names.toReversed();
  const links = new Links(item, names);
  for (let next = coming.pop(); next !== undefined; next = coming.pop()) {
    if (typeof next !== "string") {
      links.leave(next.link);
      continue;
    }
    const isMissing = taken.length >= directories.length;
    if (next === "..") {
      taken.pop();
      if (!isMissing && directories.length > 1) directories.pop();
      continue;
    }
    const directory = directories.at(-1)!;
    const child = isMissing ? undefined : (directory.entries.get(next) as Inode | undefined);
    if (child === undefined) {
      taken.push(next);
      continue;
    }
    const { target } = child;
    const link = target === undefined ? undefined : () => describeLink([...taken, next], target);
    if (!visit({ directory, name: next, child, link })) return undefined;
    if (isDirectory(child)) {
      taken.push(next);
      directories.push(child);
    } else if (target === undefined) {
      return { directories, names: [...taken, next], obstacle: child };
    } else {
      const place = { directory, name: next };
      const targetNames = links.enter(place, target, link!);
      if (target.startsWith("/")) {
        taken.length = 0;
        directories.length = 1;
      }
      coming.push({ link: place }, ...targetNames.toReversed());
    }
  }
  return { directories, names: taken, obstacle: undefined };
}

/** The symlinks that one walk has followed. */
class Links {
  readonly #item: MergeEntry;
  /** Those whose targets are being followed. */
  readonly #entered: Place[] = [];
  #count = 0;
  /** Of the path and all targets. */
  #bytes: number;

  constructor(item: MergeEntry, names: readonly ByteString[]) {
    this.#item = item;
    this.#bytes = names.reduce((sum, name) => sum + name.length + 1, 0);
  }

  /** The names in the target of a link that is to be followed. */
  enter(link: Place, target: ByteString, shown: () => string): ByteString[] {
    const isAt = ({ directory, name }: Place) => directory === link.directory && name === link.name;
    if (this.#entered.some(isAt)) {
      const message = `expected a directory, got ${shown()}, which leads back to itself`;
      throw this.#item.refuse("MALFORMED", "symlinks", message);
    }
    if (++this.#count > limits.symlinks) {
      const message = `expected at most ${limits.symlinks} symlinks on the way, got more with ${shown()}`;
      throw this.#item.refuse("LIMIT", "symlinks", message);
    }
    this.#bytes += target.length;
    if (this.#bytes > limits.pathBytes) {
      const message = `expected at most ${limits.pathBytes} bytes of path and targets, got more with ${shown()}`;
      throw this.#item.refuse("LIMIT", "symlinks", message);
    }
    this.#entered.push(link);
    return splitPath(target);
  }

  leave(link: Place): void {
    this.#entered.splice(this.#entered.indexOf(link), 1);
  }
}

function describeLink(names: readonly ByteString[], target: ByteString): string {
  return `a symlink at ${quote(ascii(names.join("/")))} to ${quote(target)}`;
}
