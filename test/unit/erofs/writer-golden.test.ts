import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { FormatError, SealfsError } from "../../../src/errors.ts";
import { type WriteOptions, writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import type { Directory } from "../../../src/tree/inode.ts";
import {
  type VersionName,
  composefsVectors,
  dumpBytes,
  versionNames,
  versions,
} from "../../support/composefs-vectors.ts";
import { randomDump } from "../../support/random-dump.ts";

const { cases, errors, generated } = composefsVectors();
const SLOW = Boolean(process.env["SLOW"]);

test("there are 188 golden cases, 66 refused ones and 5 generated ones", () => {
  expect([cases.length, errors.length, generated.length]).toEqual([188, 66, 5]);
});

/** SHA-256 of the image; null when the tree is refused. */
function digestOf(root: Directory, version: VersionName): string | null {
  try {
    return hash("sha256", writeImage(root, versions[version]));
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

describe("an image has the bytes that mkcomposefs writes", () => {
  test.each(cases)("$name: $description", ({ dump, strict, sha256 }) => {
    const root = parseDump(dumpBytes(dump), { strict });
    for (const version of versionNames) {
      expect(digestOf(root, version), version).toBe(sha256[version]);
    }
  });

  // SLOW=1 takes the larger ones too: the largest needs half a minute to be generated.
  const isQuick = ({ entries }: (typeof generated)[number]) => entries <= 5_000;
  test.each(generated.filter((each) => SLOW || isQuick(each)))(
    "$entries generated entries, profile $profile",
    ({ entries, seed, profile, dumpSha256, sha256 }) => {
      const dump = randomDump(entries, seed, profile);
      expect(hash("sha256", dump)).toBe(dumpSha256);
      const root = parseDump(dump);
      for (const version of versionNames) {
        expect(digestOf(root, version), version).toBe(sha256[version]);
      }
    },
  );
});

/** `--min-version=N` and `--max-version=N`. */
function optionsOf(args: readonly string[]): WriteOptions {
  const options: Record<string, 0 | 1> = {};
  for (const arg of args) {
    const [, bound, value] = /^--(min|max)-version=(.*)$/.exec(arg)!;
    options[`${bound}Version`] = Number(value) as 0 | 1;
  }
  return options;
}

test.each(errors)("mkcomposefs refuses $name, and so do we", ({ dump, strict, args }) => {
  expect(() => writeImage(parseDump(dumpBytes(dump), { strict }), optionsOf(args))).toThrow(
    SealfsError,
  );
});
