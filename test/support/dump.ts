/**
 * A tree in memory as a dump file, for tests that compare trees with what composefs-info prints.
 *
 * @module
 */
import { compareBytes } from "../../src/bytes/bytestring.ts";
import { formatDump } from "../../src/tree/dump-writer.ts";
import { type Directory, HardLink, Inode, inodeOf, isDirectory } from "../../src/tree/inode.ts";

/** One character a byte. */
export function dumpOfTree(root: Directory): string {
  const chunks = formatDump<Inode>({
    root,
    node: (inode) => inode,
    *entries(directory) {
      const entries = [...(directory.entries ?? [])].toSorted(([a], [b]) => compareBytes(a, b));
      for (const [name, entry] of entries) yield [name, inodeOf(entry)];
    },
    linked: () => linkedInodes(root),
  });
  return Buffer.concat([...chunks]).toString("latin1");
}

/** Every inode that some hard link leads to. */
function linkedInodes(root: Directory): Set<Inode> {
  const linked = new Set<Inode>();
  const queue = [root];
  for (const directory of queue) {
    for (const entry of directory.entries.values()) {
      if (entry instanceof HardLink) linked.add(entry.target);
      else if (isDirectory(entry)) queue.push(entry);
    }
  }
  return linked;
}
