/**
 * A directory of an image, by a path in it.
 *
 * @module
 */
import { fromText } from "../bytes/bytestring.ts";
import type { Image } from "../erofs/image.ts";
import { ImageView } from "../erofs/view.ts";
import { NotFoundError, UsageError } from "../errors.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../tree/inode.ts";

/**
 * The number of the directory at `path`, which is taken from the image's root and leads through
 * directories only.
 *
 * @throws {@link NotFoundError} `NO_FILE`; {@link UsageError} for symlinks, `..` and what is not a directory
 */
export function directoryIn(image: Image, path: string): number {
  const view = new ImageView(image);
  let inode = view.root;
  let way = "";
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    way += `/${name}`;
    if (name === "..")
      throw new UsageError("USAGE", `directory ${path} of the image: expected no ..`);
    const entry = view.lookup(inode, fromText(name));
    if (entry === undefined)
      throw new NotFoundError("NO_FILE", `directory ${way} of the image: not there`);
    inode = entry;
    const type = inode.mode & S_IFMT;
    if (type === S_IFDIR) continue;
    const what = type === S_IFLNK ? "a symbolic link" : "not a directory";
    throw new UsageError("USAGE", `directory ${way} of the image: it is ${what}`);
  }
  return inode.nid;
}
