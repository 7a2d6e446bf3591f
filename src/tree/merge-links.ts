/**
 * Hard links of a merged tree. While layers are merged, all names of an inode lead to the same
 * object; in the finished tree the name that comes first in a walk (directories before what they
 * hold, names in byte order) holds the inode and the others are links to it, which is how
 * composefs-info dump, mkcomposefs and composefs-rs tell them apart.
 *
 * Spec: docs/profiles.md, "Entries and inodes".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { type Directory, HardLink, Inode, isDirectory } from "./inode.ts";

/** One directory on the way of a walk. */
interface Level {
  readonly directory: Directory;
  readonly names: ByteString[];
  next: number;
}

/**
 * Makes all names but the first of each inode into hard links and counts the names: nlink of a file
 * becomes the number of its names, nlink of a directory 2 and its subdirectories.
 */
export function separateHardLinks(root: Directory): void {
  const seen = new Set<Inode>();
  const stack: Level[] = [enter(root)];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names[level.next++];
    if (name === undefined) {
      stack.pop();
      continue;
    }
    const entry = level.directory.entries.get(name)!;
    if (!(entry instanceof Inode)) throw new TypeError("hard links are separated already");
    if (isDirectory(entry)) {
      level.directory.nlink++;
      stack.push(enter(entry));
    } else if (seen.has(entry)) {
      entry.nlink++;
      level.directory.entries.set(name, new HardLink(entry));
    } else {
      seen.add(entry);
      entry.nlink = 1;
    }
  }
}

function enter(directory: Directory): Level {
  directory.nlink = 2;
  // Byte strings sort by their units, which are bytes.
  return { directory, names: [...directory.entries.keys()].sort(), next: 0 };
}
