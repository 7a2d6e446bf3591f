/**
 * Merging, compared with what `umoci raw unpack` makes of the same layers. Where umoci's result is
 * another one, it has to be for a reason that docs/profiles.md, "What umoci does otherwise", names:
 * then umoci agrees about the layers as that section says they are read.
 *
 * SEED=N begins at another seed, MERGE_CASES=N takes as many sets of layers.
 */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromText } from "../../../src/bytes/bytestring.ts";
import { FormatError } from "../../../src/errors.ts";
import { scanDirectory } from "../../../src/fs/scan.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { type Directory, inodeOf, isDirectory } from "../../../src/tree/inode.ts";
import { directory, empty, file, hardlink, listing, merge, symlink } from "../../support/layers.ts";
import { TestLayout, digestOf, named, types } from "../../support/oci.ts";
import { oracle } from "../../support/oracle.ts";
import { readLayers } from "../../support/layers-as-read.ts";
import {
  type LayerOperation,
  describeLayers,
  membersOf,
  randomLayers,
} from "../../support/random-layers.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { archive } from "../../support/tar.ts";

const umoci = oracle("umoci");
const missing = [process.getuid?.() === 0 ? "" : "root", umoci === undefined ? "umoci" : ""].filter(
  (what) => what !== "",
);
const skips = missing.length > 0 ? ` (missing: ${missing.join(", ")})` : "";

const runs = Number(process.env["MERGE_CASES"] ?? (process.env["SLOW"] === "1" ? 5000 : 200));
const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

type Layers = readonly (readonly Uint8Array[])[];
type Outcome = Directory | { readonly refused: string };

const work = scratchFolder();

function ours(layers: Layers): Outcome {
  try {
    return merge(layers);
  } catch (error) {
    if (error instanceof FormatError) return { refused: error.message };
    throw error;
  }
}

/** What umoci makes of the layers. Times that the unpacking itself made are those of `like`. */
function unpacked(layers: Layers, like: Outcome, { leftovers = false } = {}): Outcome {
  const layout = new TestLayout();
  const tars = layers.map((members) => archive(...members));
  const image = layout.image(tars, {
    manifest: { layers: tars.map((bytes) => layout.blob(bytes, types.tar)) },
    config: { rootfs: { type: "layers", diff_ids: tars.map((bytes) => digestOf(bytes)) } },
  });
  const source = join(work, "layout");
  const rootfs = join(work, "rootfs");
  for (const path of [source, rootfs]) rmSync(path, { recursive: true, force: true });
  layout.index([named(image, "latest")]).directory(source);
  const startedAt = Math.floor(Date.now() / 1000) - 2;
  const script = 'umask 022; exec "$0" raw unpack --image "$1:latest" "$2"';
  const { status, stderr } = spawnSync("sh", ["-c", script, umoci!, source, rootfs]);
  if (status !== 0) return { refused: stderr.toString() };
  // A whiteout of the root itself takes it away, and umoci does not notice.
  if (!existsSync(rootfs)) return { refused: "no root is left" };
  if (!leftovers) removeLeftovers(rootfs);
  const tree = scanDirectory(fromText(rootfs), { xattrs: "user" }, ({ inode, read }) => {
    const chunks: Uint8Array[] = [];
    read((chunk) => void chunks.push(chunk.slice()));
    inode.content = Buffer.concat(chunks);
  });
  if (!("refused" in like)) forgetTimes(tree, like, startedAt);
  return tree;
}

/** "whiteouts": leftovers of AUFS are no part of the tree. */
function removeLeftovers(folder: string): void {
  const { atime, mtime } = lstatSync(folder);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".wh..wh.")) rmSync(path, { recursive: true });
    else if (entry.isDirectory()) removeLeftovers(path);
  }
  utimesSync(folder, atime, mtime);
}

/** "parents": what no layer lists has time 0, and so has umoci's mark of the moment no meaning. */
function forgetTimes(tree: Directory, like: Directory, startedAt: number): void {
  if (tree.mtimeSeconds >= startedAt) {
    tree.mtimeSeconds = like.mtimeSeconds;
    tree.mtimeNanoseconds = like.mtimeNanoseconds;
  }
  for (const [name, entry] of tree.entries) {
    const other = like.entries.get(name);
    const child = inodeOf(entry);
    if (isDirectory(child) && other !== undefined && isDirectory(other)) {
      forgetTimes(child, other, startedAt);
    }
  }
}

function differences(a: Outcome, b: Outcome): string[] {
  if ("refused" in a) return "refused" in b ? [] : [`only sealfs refuses: ${a.refused}`];
  if ("refused" in b) return [`only umoci refuses: ${b.refused}`];
  return [...treeDifferences(a, b)].map(
    ({ path, what, left, right }) => `${path}: ${what}: sealfs ${left}, umoci ${right}`,
  );
}

/** Refusals of the profile of layers that umoci takes. */
const namedRefusals = [
  /got another kind of file \(oci-v1: (?:parents|hard links)\)$/,
  /got a later one \(oci-v1: hard links\)$/,
  /got one that a whiteout of the same layer hides \(oci-v1: hard links\)$/,
  /expected the name of a file after "\.wh\." \(oci-v1: whiteouts\)$/,
  /target "[./]*\.wh\.\.wh\.plnk\/7": expected an earlier entry, got none \(oci-v1: hard links\)$/,
];

/** Whether umoci refuses as well what the profile reads in the layers, up to the one that it refuses. */
function isRefusedAsRead(operations: readonly (readonly LayerOperation[])[]): boolean {
  const upTo = (count: number) => operations.slice(0, count + 1);
  const last = operations.findIndex((_, at) => "refused" in ours(upTo(at).map(membersOf)));
  const read = readLayers(upTo(last)).map(membersOf);
  return "refused" in unpacked(read, { refused: "" });
}

/** Where umoci differs for a reason that is not named; and whether there was a named one. */
function compare(operations: readonly (readonly LayerOperation[])[]) {
  const layers = operations.map(membersOf);
  const tree = ours(layers);
  const found = differences(tree, unpacked(layers, tree));
  if (found.length === 0) return { unexplained: [], isNamed: false };
  if ("refused" in tree) {
    const isNamed =
      namedRefusals.some((pattern) => pattern.test(tree.refused)) || isRefusedAsRead(operations);
    return { unexplained: isNamed ? [] : found, isNamed };
  }
  const read = readLayers(operations).map(membersOf);
  return { unexplained: differences(tree, unpacked(read, tree)), isNamed: true };
}

describe.skipIf(missing.length > 0)(`merging as umoci unpacks${skips}`, () => {
  test(
    `the trees of ${runs} random sets of layers are equal (SEED=${seed})`,
    {
      timeout: 3_600_000,
    },
    () => {
      let equal = 0;
      fc.assert(
        fc.property(randomLayers, (operations) => {
          const { unexplained, isNamed } = compare(operations);
          if (!isNamed) equal++;
          expect(unexplained, describeLayers(operations)).toEqual([]);
        }),
        { numRuns: runs, seed },
      );
      // Most agree without a reason being looked for.
      expect(equal).toBeGreaterThan(runs / 2);
    },
  );

  describe("what umoci does otherwise", () => {
    const base = [
      directory("a", { mode: 0o700 }),
      file("a/one"),
      directory("b"),
      file("b/two"),
      symlink("l", "a"),
    ];
    const links = Array.from({ length: 41 }, (_, number) =>
      symlink(`l${number}`, number === 0 ? "a" : `l${number - 1}`),
    );
    /** By the first cell of its row in the document: layers, and in lines what each makes of them. */
    const cases: Record<
      string,
      { lower?: Uint8Array[]; over: Uint8Array[]; sealfs: string[]; umoci: string[] }
    > = {
      "a whiteout behind an entry that goes through the link that it hides": {
        over: [file("l/x"), empty(".wh.l")],
        sealfs: ["a/", "a/one = a/one", "b/", "b/two = b/two", "l/", "l/x = l/x"],
        umoci: ["a/", "a/one = a/one", "a/x = l/x", "b/", "b/two = b/two"],
      },
      "a whiteout behind a hard link to what it hides": {
        over: [hardlink("x", "a/one"), empty("a/.wh.one")],
        sealfs: [],
        umoci: ["a/", "b/", "b/two = b/two", "l -> a", "x = a/one"],
      },
      "a whiteout through a link that its layer replaces": {
        over: [empty("l/.wh.one"), directory("l")],
        sealfs: ["a/", "a/one = a/one", "b/", "b/two = b/two", "l/"],
        umoci: ["a/", "b/", "b/two = b/two", "l/"],
      },
      "a file on the way to an entry": {
        over: [file("a/one/x", "x")],
        sealfs: [],
        umoci: ["a/", "a/one/", "a/one/x = x", "b/", "b/two = b/two", "l -> a"],
      },
      "`..` behind a file in the target of a link": {
        over: [symlink("m", "a/one/../../b"), file("m/x", "x")],
        sealfs: [],
        umoci: [
          "a/",
          "a/one = a/one",
          "b/",
          "b/two = b/two",
          "b/x = x",
          "l -> a",
          "m -> a/one/../../b",
        ],
      },
      "over 40 links on the way": {
        over: [...links, file("l40/x", "x")],
        sealfs: [],
        umoci: [
          "a/",
          "a/one = a/one",
          "a/x = x",
          "b/",
          "b/two = b/two",
          "l -> a",
          ...links.map((_, number) => `l${number} -> ${number === 0 ? "a" : `l${number - 1}`}`),
        ].sort(),
      },
      "a directory named `.wh.NAME` that a link would have made": {
        over: [symlink("m", ".wh.b"), file("m/x", "x")],
        sealfs: [],
        umoci: [
          ".wh.b/",
          ".wh.b/x = x",
          "a/",
          "a/one = a/one",
          "b/",
          "b/two = b/two",
          "l -> a",
          "m -> .wh.b",
        ],
      },
      "an entry below a whiteout": {
        over: [file("a/.wh.one/x", "x")],
        sealfs: [],
        umoci: [
          "a/",
          "a/.wh.one/",
          "a/.wh.one/x = x",
          "a/one = a/one",
          "b/",
          "b/two = b/two",
          "l -> a",
        ],
      },
      "`.wh.`, `.wh..`": {
        over: [empty("a/.wh.")],
        sealfs: [],
        umoci: ["a/", "b/", "b/two = b/two", "l -> a"],
      },
      "leftovers of AUFS": {
        over: [file(".wh..wh.plnk/1", "x")],
        sealfs: ["a/", "a/one = a/one", "b/", "b/two = b/two", "l -> a"],
        umoci: [
          ".wh..wh.plnk/",
          ".wh..wh.plnk/1 = x",
          "a/",
          "a/one = a/one",
          "b/",
          "b/two = b/two",
          "l -> a",
        ],
      },
      "a hard link to a leftover of a lower layer": {
        lower: [file("a/.wh..wh.plnk/1", "x")],
        over: [hardlink("x", "a/.wh..wh.plnk/1"), empty("a/.wh..wh..opq")],
        sealfs: [],
        umoci: ["a/", "b/", "b/two = b/two", "l -> a", "x = x"],
      },
      "a part `..` in a path or the target of a hard link": {
        over: [file("../a/../x", "x"), hardlink("y", "../x")],
        sealfs: [],
        umoci: ["a/", "a/one = a/one", "b/", "b/two = b/two", "l -> a", "x = x", "y => x"],
      },
      "a file named `x/`": {
        over: [file("x/", "x")],
        sealfs: [],
        umoci: ["a/", "a/one = a/one", "b/", "b/two = b/two", "l -> a", "x = x"],
      },
    };
    const document = readFileSync(new URL("../../../docs/profiles.md", import.meta.url), "utf8");
    const section = document.split("\n## What umoci does otherwise\n")[1]!.split("\n## ")[0]!;
    const rows = [...section.matchAll(/^\| (.+?) +\|/gm)].map((match) => match[1]!).slice(2);

    test("is in the document", () => {
      const own = "a whiteout behind an entry below the directory that it hides";
      expect(rows.toSorted()).toEqual([...Object.keys(cases), own].toSorted());
    });

    test.each(Object.entries(cases))("%s", (_, { lower = [], over, sealfs, umoci: theirs }) => {
      const lines = (outcome: Outcome) => ("refused" in outcome ? [] : listing(outcome));
      const layers = [[...base, ...lower], over];
      const tree = ours(layers);
      expect(lines(tree)).toEqual(sealfs);
      expect(lines(unpacked(layers, tree, { leftovers: true }))).toEqual(theirs);
    });

    test("a whiteout behind an entry below the directory that it hides", () => {
      const layers = [base, [file("a/new"), empty(".wh.a")]];
      const tree = ours(layers);
      expect(differences(tree, unpacked(layers, tree))).toEqual([
        "a: mode: sealfs 0755, umoci 0700",
      ]);
    });
  });
});
