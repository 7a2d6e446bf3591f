/**
 * The objects that a bootstrap refers to.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Image } from "./image.ts";
import { ImageView } from "./view.ts";
import { walkFiles } from "./walk.ts";
import { S_IFMT, S_IFREG } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

/**
 * Every distinct object with its size in bytes, sorted by digest. The image need not have been
 * checked.
 *
 * @throws {@link FormatError} `AMBIGUOUS` for one digest with two sizes; `MALFORMED` for a file whose
 *   content cannot be verified; others for an image that cannot be read
 */
export function objectsOf(image: Image): Map<VerityDigest, number> {
  const objects = new Map<VerityDigest, number>();
  for (const { inode } of walkFiles(new ImageView(image))) {
    if ((inode.mode & S_IFMT) !== S_IFREG) continue;
    const content = image.content(inode);
    if (content.kind === "object") add(objects, content.digest, content.size);
    if (content.kind === "unverifiable") {
      throw new FormatError("MALFORMED", `nid ${inode.nid}: ${content.reason}`);
    }
  }
  return new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function add(objects: Map<VerityDigest, number>, digest: VerityDigest, size: number): void {
  const known = objects.get(digest);
  if (known !== undefined && known !== size) {
    throw new FormatError("AMBIGUOUS", `object ${digest}: of ${known} and of ${size} bytes`);
  }
  objects.set(digest, size);
}
