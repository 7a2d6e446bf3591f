/**
 * What well-known readers make of tar archives, and what sealfs makes of them, in the same lines.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FormatError } from "../../src/errors.ts";
import { defined } from "../../src/optional.ts";
import {
  type Directory,
  type Entry,
  type Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  inodeOf,
  isDirectory,
  typeOf,
} from "../../src/tree/inode.ts";
import { INLINE_BYTES } from "../../src/tree/inline-content.ts";
import { type LayerEntry, mergeLayers } from "../../src/tree/merge.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";
import type { VerityDigest } from "../../src/verity/verity-digest.ts";
import { type ReadEntry, readTar } from "./tar.ts";

/** The lines of a reader, or null when it fails or complains. */
export type Reading = readonly string[] | null;

export interface Readings {
  readonly tar: Reading;
  readonly bsdtar: Reading;
  readonly tarfile: Reading;
  readonly umoci: Reading;
}

const script = fileURLToPath(new URL("./tar-readers.py", import.meta.url));

/** What the four readers make of each archive. `folder` is empty, and theirs to fill. */
export function readByOthers(
  folder: string,
  umoci: string,
  archives: readonly Uint8Array[],
): Readings[] {
  archives.forEach((bytes, i) => writeFileSync(`${folder}/t${i}`, bytes));
  const { stdout, stderr, status } = spawnSync("python3", [script, folder, umoci], {
    input: archives.map((_, i) => `t${i}`).join("\n"),
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`tar-readers.py: ${stderr}`);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Readings);
}

/** What sealfs makes of an archive as the only layer of an image, and why it refuses it. */
export function readByUs(bytes: Uint8Array): { lines: Reading; refusal: string } {
  try {
    const entries = readTar(bytes).map(layerEntry);
    const root = mergeLayers([{ label: "layer", entries }], "oci-v1");
    return { lines: linesOf(root), refusal: "" };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { lines: null, refusal: `${error.code} ${error.message}` };
  }
}

const contents = new Map<VerityDigest, Uint8Array>();

function layerEntry({ content, ...entry }: ReadEntry): LayerEntry {
  if (content === undefined || content.length <= INLINE_BYTES) return defined({ entry, content });
  const digest = verityDigestOf(content, "sha256");
  contents.set(digest, content);
  return { entry, digest };
}

const letters: ReadonlyMap<number, string> = new Map([
  [S_IFREG, "f"],
  [S_IFDIR, "d"],
  [S_IFLNK, "l"],
  [S_IFCHR, "c"],
  [S_IFBLK, "b"],
  [S_IFIFO, "p"],
]);

function linesOf(root: Directory): string[] {
  const found: [string, Entry][] = [];
  const walk = (directory: Directory, prefix: string) => {
    for (const [name, entry] of directory.entries) {
      found.push([prefix + name, entry]);
      if (isDirectory(entry)) walk(entry, `${prefix}${name}/`);
    }
  };
  walk(root, "");
  const first = new Map<unknown, string>();
  return found
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => {
      const inode = inodeOf(entry);
      if (first.has(inode)) return `${name} = ${first.get(inode)}`;
      first.set(inode, name);
      return lineOf(name, inode);
    });
}

function lineOf(name: string, inode: Inode): string {
  const letter = letters.get(typeOf(inode))!;
  // Other directories may be parents that no entry names.
  if (letter === "d" && name !== "d/subject") return `${name} d`;
  const mode = letter === "l" ? 0o777 : inode.mode & 0o7777;
  const { uid, gid, mtimeSeconds, rdev, digest } = inode;
  let rest = "";
  if (letter === "f") {
    const content = inode.content ?? contents.get(digest!) ?? new Uint8Array(0);
    rest = ` ${content.length} ${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;
  } else if (letter === "l") rest = ` ${inode.target}`;
  else if (letter === "c" || letter === "b") {
    rest = ` ${(rdev >> 8) & 0xfff},${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
  }
  const xattrs = [...inode.xattrs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` ${key}=${Buffer.from(value, "latin1").toString("hex")}`);
  const owner = `${uid}:${gid}`;
  return `${name} ${letter} ${mode.toString(8)} ${owner} ${mtimeSeconds}${rest}${xattrs.join("")}`;
}
