/**
 * Which objects a tree refers to.
 *
 * @module
 */
import { type Directory, Inode, isDirectory } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

/** The distinct objects of a tree with their sizes in bytes. */
export function objectsOfTree(root: Directory): Map<VerityDigest, number> {
  const objects = new Map<VerityDigest, number>();
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of directory.entries.values()) {
      if (isDirectory(entry)) pending.push(entry);
      else if (entry instanceof Inode && entry.digest !== undefined) {
        objects.set(entry.digest, Number(entry.size));
      }
    }
  }
  return objects;
}
