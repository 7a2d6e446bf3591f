/** Dump files: chunks do not matter, and an image of the tree gives a dump of the same tree. */
import { verifyImage } from "../../../src/erofs/check.ts";
import { dumpImage, readTree } from "../../../src/erofs/tree.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import type { Directory } from "../../../src/tree/inode.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { randomDump } from "../../support/random-dump.ts";
import { accepted, pieces, same, withoutMarks } from "../invariant.ts";
import { composefsInfo } from "../oracles/composefs-info.ts";
import { kernel } from "../oracles/kernel.ts";
import { mkcomposefs } from "../oracles/mkcomposefs.ts";

export const fresh = (seed: number) => randomDump(1 + (seed % 8), String(seed), "chaos");

const imageOf = (data: Uint8Array) => accepted(() => verifyImage(writeImage(parseDump(data))));
export const oracles = [mkcomposefs, composefsInfo(40, imageOf), kernel(2000, imageOf)];

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
    const [before, after] = [dump, dumpAgain].map((bytes) =>
      withoutMarks(bytes.toString("latin1")),
    );
    same(before, after, "dump, and dump of its image");
  }
}

function none(left: Directory, right: Directory, what: string): void {
  same([], [...treeDifferences(left, right)], what);
}
