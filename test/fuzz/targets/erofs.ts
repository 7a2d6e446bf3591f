/**
 * Images. What the checker accepts, everything that reads images reads without an error; written
 * again it means the same. What it refuses gives typed errors to those who read it all the same.
 */
import { verifyImage } from "../../../src/erofs/check.ts";
import { Image } from "../../../src/erofs/image.ts";
import { objectsOf } from "../../../src/erofs/object-list.ts";
import { dumpImage, readTree } from "../../../src/erofs/tree.ts";
import { ImageView } from "../../../src/erofs/view.ts";
import { findFile, walkFiles } from "../../../src/erofs/walk.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { accepted, same } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  const bytes = Uint8Array.from(data);
  const image = accepted(() => verifyImage(bytes));
  if (image === undefined) accepted(() => readAll(Image.open(bytes), false));
  else {
    readAll(image, true);
    const dump = dumpOf(image);
    const again = writeImage(readTree(image));
    same(dump, dumpOf(verifyImage(again)), "dump of an image, and of that image written again");
    const parsed = accepted(() => parseDump(Buffer.from(dump, "latin1")));
    if (parsed !== undefined) {
      same(dump, dumpOf(verifyImage(writeImage(parsed))), "dump, and dump of the image of it");
    }
  }
}

function readAll(image: Image, isChecked: boolean): void {
  const view = new ImageView(image);
  for (const file of walkFiles(view)) {
    image.xattrs(file.inode);
    const { inode } = findFile(view, file.path);
    if (isChecked) same(file.inode.nid, inode.nid, "a file, found by its path");
  }
  objectsOf(image);
  dumpOf(image);
  readTree(image);
}

function dumpOf(image: Image): string {
  return Buffer.concat([...dumpImage(image)]).toString("latin1");
}
