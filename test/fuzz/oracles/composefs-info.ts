/** composefs-info: reads every image that the checker takes, and dumps it as sealfs does. @module */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dumpImage } from "../../../src/erofs/tree.ts";
import { oracle } from "../../support/oracle.ts";
import { same } from "../invariant.ts";
import { type ImageOf, type Oracle, oracleFolder } from "./oracle.ts";

/** `every`: one in that many inputs is compared; and the image that an input is or makes. */
export const composefsInfo = (every: number, imageOf: ImageOf): Oracle => ({
  name: "composefs-info",
  every,
  missing() {
    return oracle("composefs-info") === undefined ? "it is not installed (.ci/oracles)" : undefined;
  },
  check(data) {
    const image = imageOf(data);
    if (image === undefined) return false;
    const file = join(oracleFolder(), "image");
    writeFileSync(file, image.bytes);
    const { status, stdout } = spawnSync(oracle("composefs-info")!, ["dump", file], {
      encoding: "latin1",
      maxBuffer: 1 << 28,
    });
    same(0, status, "status of composefs-info dump");
    const ours = Buffer.concat([...dumpImage(image)]).toString("latin1");
    same(ours, stdout, "dump, and that of composefs-info");
    return true;
  },
});
