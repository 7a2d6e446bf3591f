/** Dump files: chunks do not matter, and an image of the tree gives a dump of the same tree. */
import { verifyImage } from "../../../src/erofs/check.ts";
import { dumpImage, readTree } from "../../../src/erofs/tree.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import type { Directory } from "../../../src/tree/inode.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { accepted, pieces, same } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  for (const strict of [false, true]) {
    const tree = accepted(() => parseDump(data, { strict }));
    const cut = accepted(() => parseDump(pieces(data), { strict }));
    same(tree === undefined, cut === undefined, "accepted in one piece, and in several");
    if (tree === undefined) continue;
    none(tree, cut!, "one piece, several");
    const image = accepted(() => writeImage(tree));
    if (image === undefined) continue;
    const checked = accepted(() => verifyImage(image));
    if (checked === undefined) continue;
    const dump = Buffer.concat([...dumpImage(checked)]);
    const again = accepted(() => parseDump(dump));
    if (again === undefined) continue;
    none(readTree(checked), again, "the image, its dump");
    // Not its bytes: as in mkcomposefs, a size that is not stored decides of an inode's form.
    const dumpAgain = Buffer.concat([...dumpImage(verifyImage(writeImage(again)))]);
    same(dump.toString("latin1"), dumpAgain.toString("latin1"), "dump, and dump of its image");
  }
}

function none(left: Directory, right: Directory, what: string): void {
  same([], [...treeDifferences(left, right)], what);
}
