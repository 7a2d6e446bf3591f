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
import { randomDump } from "../../support/random-dump.ts";
import { accepted, same, withoutMarks } from "../invariant.ts";
import { composefsInfo } from "../oracles/composefs-info.ts";
import { kernel } from "../oracles/kernel.ts";

export const fresh = (seed: number) =>
  accepted(() => writeImage(parseDump(randomDump(1 + (seed % 8), String(seed), "chaos")))) ??
  new Uint8Array(0);

const imageOf = (data: Uint8Array) => accepted(() => verifyImage(Uint8Array.from(data)));
export const oracles = [composefsInfo(1, imageOf), kernel(100, imageOf)];

export function fuzz(data: Uint8Array): void {
  const bytes = Uint8Array.from(data);
  const image = accepted(() => verifyImage(bytes));
  if (image === undefined) accepted(() => readAll(Image.open(bytes), false));
  else {
    readAll(image, true);
    const dump = dumpOf(image);
    const again = writeImage(readTree(image));
    same(withoutMarks(dump), dumpAgain(again), "dump of an image, and of that image written again");
    const parsed = accepted(() => parseDump(Buffer.from(dump, "latin1")));
    if (parsed !== undefined) {
      same(withoutMarks(dump), dumpAgain(writeImage(parsed)), "dump, and dump of the image of it");
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

const dumpAgain = (bytes: Uint8Array) => withoutMarks(dumpOf(verifyImage(bytes)));

function dumpOf(image: Image): string {
  return Buffer.concat([...dumpImage(image)]).toString("latin1");
}
