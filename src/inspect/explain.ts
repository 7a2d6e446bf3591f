/**
 * Why two images have different digests: every path at which their trees differ, field by field,
 * and what usually makes such differences. Each side is an image, or a source that is built into a
 * temporary store.
 *
 * @module
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { printable } from "../bytes/bytestring.ts";
import { Image } from "../erofs/image.ts";
import { readTree } from "../erofs/tree.ts";
import { NotFoundError, UsageError } from "../errors.ts";
import { readSource } from "../oci/source/typed-source.ts";
import { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { treeDifferences } from "../tree/compare.ts";
import type { ProfileName } from "../tree/merge.ts";
import { type VerityAlgorithm, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { buildImage } from "../build/build-image.ts";
import { type Cause, CauseFinder } from "./explain-causes.ts";
import { objectsOf } from "../erofs/object-list.ts";
import { openImage } from "../verify/open-image.ts";

/** One side as the user names it. */
export interface SideRequest {
  /** A name or id in the stores, an image file, or a source. */
  readonly target: string;
  /** How layers become one tree, for a source. */
  readonly profile?: ProfileName | undefined;
}

/** One side as it was opened or built. */
export interface ExplainedSide {
  readonly target: string;
  readonly digest: string;
  readonly size: number;
  /** Of the image format. */
  readonly formatVersion: number;
  readonly algorithm: VerityAlgorithm;
}

/** One difference, its texts ready to be printed. */
export interface ExplainedDifference {
  readonly path: string;
  readonly what: string;
  readonly left: string;
  readonly right: string;
}

export interface Explanation {
  readonly left: ExplainedSide;
  readonly right: ExplainedSide;
  readonly same: boolean;
  /** All differences of the trees together. */
  readonly count: number;
  /** The first of them. */
  readonly differences: readonly ExplainedDifference[];
  readonly causes: readonly Cause[];
}

/**
 * Compares two sides; `limit` differences are kept.
 *
 * @throws as opening and building do
 */
export async function explain(
  left: SideRequest,
  right: SideRequest,
  stores: readonly string[],
  limit: number,
): Promise<Explanation> {
  const images = [await openSide(left, stores), await openSide(right, stores)];
  const algorithm = images.flatMap((image) => image ?? []).map(algorithmFor)[0] ?? "sha256";
  const a = images[0] ?? (await buildSide(left, algorithm));
  const b = images[1] ?? (await buildSide(right, algorithm));
  const [leftTree, rightTree] = [readTree(a), readTree(b)];
  const finder = new CauseFinder(leftTree);
  const differences: ExplainedDifference[] = [];
  let count = 0;
  for (const difference of treeDifferences(leftTree, rightTree)) {
    count++;
    finder.add(difference);
    if (differences.length >= limit) continue;
    const path = difference.path === "" ? "/" : printable(difference.path);
    differences.push({ ...difference, path });
  }
  const sides = { left: sideOf(left, a), right: sideOf(right, b) };
  const same = Buffer.from(a.bytes).equals(b.bytes);
  const causes = [...finder.causes(), ...layoutCauses(sides.left, sides.right, count, same)];
  return { ...sides, same, count, differences, causes };
}

/** Undefined for a source, which has to be built. */
async function openSide(
  { target, profile }: SideRequest,
  stores: readonly string[],
): Promise<Image | undefined> {
  const named = stores.length > 0 && isInStore(target, stores);
  if (!named && !isImageFile(target)) return undefined;
  if (profile !== undefined) {
    throw new UsageError("USAGE", `${target}: is built already, so that no profile can be chosen`);
  }
  return openImage(target, named ? stores : undefined);
}

function isInStore(target: string, stores: readonly string[]): boolean {
  try {
    Stores.open(stores).resolve(target);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError && error.code === "NO_REF") return false;
    if (error instanceof UsageError) return false; // not a valid name
    throw error;
  }
}

/** The magic in front, little-endian (docs/image-format.md, "Composefs header"). */
const MAGIC = 0xd078629a;

function isImageFile(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const fd = openSync(path, "r");
  try {
    const start = Buffer.alloc(4);
    return readSync(fd, start) === 4 && start.readUInt32LE() === MAGIC;
  } finally {
    closeSync(fd);
  }
}

async function buildSide(
  { target, profile }: SideRequest,
  algorithm: VerityAlgorithm,
): Promise<Image> {
  const source = readSource(target);
  const folder = mkdtempSync(join(tmpdir(), "sealfs-explain-"));
  try {
    const store = Store.create(join(folder, "store"), { algorithm });
    const options = { store, profile, allowMissing: true, durability: "none" } as const;
    const { bytes } = await buildImage(source, options);
    return Image.open(bytes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function algorithmFor(image: Image): VerityAlgorithm {
  const [first] = objectsOf(image).keys();
  return first === undefined ? "sha256" : algorithmOf(first);
}

function sideOf({ target, profile }: SideRequest, image: Image): ExplainedSide {
  const algorithm = algorithmFor(image);
  return {
    target: profile === undefined ? target : `${target} (${profile})`,
    digest: verityDigestOf(image.bytes, algorithm),
    size: image.bytes.length,
    formatVersion: image.header.composefsVersion,
    algorithm,
  };
}

/** Differences of the images that are not in their trees. */
function layoutCauses(left: ExplainedSide, right: ExplainedSide, count: number, same: boolean) {
  const causes: Cause[] = [];
  const add = (cause: string) => causes.push({ cause, differences: 0, example: "" });
  if (left.formatVersion !== right.formatVersion) {
    const versions = `${left.formatVersion} and ${right.formatVersion}`;
    add(`format versions ${versions}: the same tree has another digest under each`);
  } else if (count === 0 && !same) {
    add(
      "the trees are equal and the bytes are not: another writer laid them out, or other padding",
    );
  }
  return causes;
}
