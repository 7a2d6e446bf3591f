/** Differential tests against the reference tools, where they are installed. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { composefsVectors, dumpBytes, versions } from "../../support/composefs-vectors.ts";
import { oracle } from "../../support/oracle.ts";
import { randomDump } from "../../support/random-dump.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
beforeAll(() => {
  folder = scratchFolder();
});

/** Our image of a dump; undefined when it is refused. */
function ours(dump: Uint8Array, options = {}): Uint8Array | undefined {
  try {
    return writeImage(parseDump(dump), options);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return undefined;
  }
}

describe("mkcomposefs", () => {
  const mkcomposefs = oracle("mkcomposefs");
  beforeEach((context) => {
    if (mkcomposefs === undefined) context.skip("mkcomposefs is not installed (.ci/oracles)");
  });

  /** The reference's image of a dump; undefined when it is refused. */
  function theirs(dump: Uint8Array, args: readonly string[]): Uint8Array | undefined {
    const path = join(folder, "dump");
    const image = join(folder, "image");
    writeFileSync(path, dump);
    const { status } = spawnSync(mkcomposefs!, [...args, "--from-file", path, image]);
    return status === 0 ? readFileSync(image) : undefined;
  }

  test("300 random dumps give the same image, or are refused by both", () => {
    const bounds = [
      [[], {}],
      [["--min-version=0", "--max-version=0"], versions.v0],
      [["--min-version=1", "--max-version=1"], versions.v1],
    ] as const;
    let refused = 0;
    for (let seed = 0; seed < 300; seed++) {
      const dump = randomDump(20 + (seed % 7) * 30, `oracle-${seed}`, "chaos");
      const [args, options] = bounds[seed % 3]!;
      const reference = theirs(dump, args);
      const image = ours(dump, options);
      if (reference === undefined) refused += 1;
      expect(image === undefined, `seed ${seed} refused`).toBe(reference === undefined);
      if (image !== undefined) {
        expect(Buffer.compare(image, reference!), `seed ${seed} bytes`).toBe(0);
      }
    }
    expect(refused).toBeLessThan(100); // else this shows nothing
  });

  test("dumps with changed bytes give the same image, or are refused by both", () => {
    const dumps = composefsVectors()
      .cases.filter(({ strict, dump }) => !strict && dump.length < 3000)
      .map(({ dump }) => dumpBytes(dump));
    // Changes that keep lines likely to be valid: a digit, a space, a letter, an escape.
    const bytes = Buffer.from(" 0179-@./=\\x\n\tzAf");
    let different = 0;
    for (let round = 0; round < 300; round++) {
      const dump = Uint8Array.from(dumps[round % dumps.length]!);
      const random = randomDump(2, `change-${round}`, "chaos");
      dump[random.readUInt32LE(random.length - 5) % dump.length] = bytes[round % bytes.length]!;
      const reference = theirs(dump, []);
      const image = ours(dump);
      // A digest that is no digest makes mkcomposefs use memory it never set: we refuse it.
      if (image === undefined && reference !== undefined && hasBadDigest(dump)) continue;
      expect(image === undefined, `round ${round} refused`).toBe(reference === undefined);
      if (image !== undefined) {
        expect(Buffer.compare(image, reference!), `round ${round} bytes`).toBe(0);
        different += 1;
      }
    }
    expect(different).toBeGreaterThan(50);
  });

  /** Whether the DIGEST of some line is neither absent nor 64 hex digits. */
  function hasBadDigest(dump: Uint8Array): boolean {
    const lines = Buffer.from(dump).toString("latin1").split("\n");
    return lines.some((line) => !/^(?:-|[0-9a-fA-F]{64}.*|)$/.test(line.split(" ")[10] ?? "-"));
  }
});

test("fsck.erofs accepts what we write", (context) => {
  const fsck = oracle("fsck.erofs");
  if (fsck === undefined) return context.skip("fsck.erofs is not installed (.ci/oracles)");
  const path = join(folder, "image");
  for (let seed = 0; seed < 10; seed++) {
    writeFileSync(path, ours(randomDump(300, `fsck-${seed}`, "rootfs"))!);
    execFileSync(fsck, [path], { stdio: "pipe" });
  }
});

test("composefs-info reads what we write", (context) => {
  const info = oracle("composefs-info");
  if (info === undefined) return context.skip("composefs-info is not installed (.ci/oracles)");
  const path = join(folder, "image");
  for (let seed = 0; seed < 10; seed++) {
    writeFileSync(path, ours(randomDump(300, `info-${seed}`, "rootfs"))!);
    const dump = execFileSync(info, ["dump", path], { maxBuffer: 1 << 26 });
    // Written again, the dump gives an image that dumps the same.
    writeFileSync(path, ours(dump)!);
    expect(execFileSync(info, ["dump", path], { maxBuffer: 1 << 26 })).toEqual(dump);
  }
});
