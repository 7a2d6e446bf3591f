/**
 * The objects that a bootstrap refers to.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Image } from "../erofs/image.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/digest.ts";

/**
 * Every distinct object with its size in bytes, in the order of a walk from the root. The image has
 * passed `verifyImage`, so the walk ends.
 *
 * @throws {@link FormatError} `AMBIGUOUS` for one digest with two sizes; `MALFORMED` for a file whose
 *   content cannot be verified
 */
export function objectsOf(image: Image): Map<VerityDigest, number> {
  const objects = new Map<VerityDigest, number>();
  const directories = [image.rootNid];
  for (let nid = directories.pop(); nid !== undefined; nid = directories.pop()) {
    for (const entry of image.entries(image.inode(nid))) {
      if (entry.name === "." || entry.name === "..") continue;
      const inode = image.inode(entry.nid);
      const type = inode.mode & S_IFMT;
      if (type === S_IFDIR) directories.push(entry.nid);
      if (type !== S_IFREG) continue;
      const content = image.content(inode);
      if (content.kind === "object") add(objects, content.digest, content.size);
      if (content.kind === "unverifiable") {
        throw new FormatError("MALFORMED", `nid ${entry.nid}: ${content.reason}`);
      }
    }
  }
  return objects;
}

function add(objects: Map<VerityDigest, number>, digest: VerityDigest, size: number): void {
  const known = objects.get(digest);
  if (known !== undefined && known !== size) {
    throw new FormatError("AMBIGUOUS", `object ${digest}: of ${known} and of ${size} bytes`);
  }
  objects.set(digest, size);
}
