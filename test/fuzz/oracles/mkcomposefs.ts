/** mkcomposefs: takes every dump that sealfs takes, and makes the same image of it. @module */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { oracle } from "../../support/oracle.ts";
import { accepted, same } from "../invariant.ts";
import { type Oracle, oracleFolder } from "./oracle.ts";

export const mkcomposefs: Oracle = {
  name: "mkcomposefs",
  every: 40,
  missing() {
    return oracle("mkcomposefs") === undefined ? "it is not installed (.ci/oracles)" : undefined;
  },
  check(data) {
    const results = [false, true].map((strict) => {
      const ours = accepted(() => writeImage(parseDump(data, { strict })));
      if (ours === undefined) return false;
      const theirs = imageOf(data, strict);
      same(true, theirs !== undefined, `accepted by mkcomposefs${strict ? ", strict" : ""}`);
      same(0, Buffer.compare(ours, theirs!), "image, and that of mkcomposefs");
      return true;
    });
    return results.includes(true);
  },
};

function imageOf(dump: Uint8Array, strict: boolean): Uint8Array | undefined {
  const [from, to] = [join(oracleFolder(), "dump"), join(oracleFolder(), "made")];
  writeFileSync(from, dump);
  const env = { PATH: process.env["PATH"], ...(strict ? { CFS_PARSE_STRICT: "1" } : {}) };
  const { status } = spawnSync(oracle("mkcomposefs")!, ["--from-file", from, to], { env });
  return status === 0 ? readFileSync(to) : undefined;
}
