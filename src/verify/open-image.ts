/**
 * Opens an image to look into it. It is not verified: its content is what the file says.
 *
 * @module
 */
import { Image } from "../erofs/image.ts";
import { readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";

/**
 * Opens the image at a path, or with `stores` the one that a store has under a name or id, else the
 * file. A store's image is checked against its id.
 *
 * @throws {@link NotFoundError} `NO_FILE` or `NO_REF`; {@link FormatError} when it is no image;
 *   {@link IntegrityError} when a store's image is not what its id says
 */
export async function openImage(target: string, stores?: readonly string[]): Promise<Image> {
  return Image.open(await readImageBytes(target, stores));
}

/** The bytes of the same image, not parsed. */
export async function readImageBytes(
  target: string,
  stores?: readonly string[],
): Promise<Uint8Array> {
  if (stores === undefined || stores.length === 0) return readImageFile(target);
  // Loaded when needed: reading a file need not wait for the modules of a store.
  const [{ locateImage, requireIdentity }, { Stores }, { algorithmOf, verityDigestOf }] =
    await Promise.all([
      import("./locate.ts"),
      import("../store/stores.ts"),
      import("../verity/index.ts"),
    ]);
  const located = locateImage(target, { stores: Stores.open(stores), bundles: [] });
  const { bytes, id } = located;
  if (id === undefined) return bytes;
  return requireIdentity(located, verityDigestOf(bytes, algorithmOf(id)));
}

function readImageFile(path: string): Uint8Array {
  const hint = "an image in a store is found with --store";
  return readUserFile(path, limits.imageBytes, `image ${path}`, hint);
}
