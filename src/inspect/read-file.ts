/**
 * The content of a file of an image, wherever it is.
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import type { Image } from "../erofs/image.ts";
import { ImageView } from "../erofs/view.ts";
import { findFile } from "../erofs/walk.ts";
import { FormatError, UsageError } from "../errors.ts";
import { S_IFMT, S_IFREG } from "../tree/inode.ts";
import { readObject } from "../store/read-object.ts";

/**
 * Yields the bytes of the regular file at `path`, symlinks followed inside the image. Objects are
 * checked block by block; a chunk is only valid until the next is asked for.
 *
 * @throws {@link NotFoundError} `NO_FILE`, or as {@link readObject}; {@link FormatError} for
 *   content that nothing vouches for; {@link UsageError} when an object is needed and there is no
 *   store
 */
export async function* readFileOf(
  image: Image,
  path: ByteString,
  stores: readonly string[] | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { inode } = findFile(new ImageView(image), path, true);
  if ((inode.mode & S_IFMT) !== S_IFREG) {
    throw new UsageError("USAGE", `${printable(path)}: expected a regular file`);
  }
  const content = image.content(inode);
  if (content.kind === "inline") {
    yield content.bytes;
    return;
  }
  if (content.kind === "unverifiable") {
    throw new FormatError("MALFORMED", `${printable(path)}: ${content.reason}`);
  }
  if (stores === undefined || stores.length === 0) {
    throw new UsageError("USAGE", `${printable(path)}: its content is an object`, {
      hint: "name a store that has it with --store",
    });
  }
  const { Stores } = await import("../store/stores.ts");
  yield* readObject(Stores.open(stores), content.digest, content.size);
}
