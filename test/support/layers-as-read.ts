/**
 * Layers written so that tools which apply entries one by one read them as the profile oci-v1 does:
 * the whiteouts first, each by the path that it means, without those that mean nothing.
 *
 * Spec: docs/profiles.md, "whiteouts" and "whiteouts below symlinks".
 *
 * @module
 */
import type { ByteString } from "../../src/bytes/bytestring.ts";
import { type Directory, type Entry, type Inode, inodeOf } from "../../src/tree/inode.ts";
import { merge } from "./layers.ts";
import { type LayerOperation, membersOf } from "./random-layers.ts";

type Layer = readonly LayerOperation[];

/** Each layer as the profile reads it. */
export function readLayers(layers: readonly Layer[]): Layer[] {
  return layers.map((layer, index) => readLayer(layers.slice(0, index), layer));
}

function readLayer(lower: readonly Layer[], layer: Layer): Layer {
  const whiteouts = layer.filter(({ kind }) => kind === "whiteout");
  const entries = layer.filter(({ kind }) => kind !== "whiteout");
  const tree = merge(lower.map(membersOf));
  const isDirect = (operation: LayerOperation) =>
    !followed(tree, parentOf(operation)).passes.some(({ isLink }) => isLink);
  const direct = whiteouts.filter(isDirect);
  const rest = merge([...lower, direct].map(membersOf));
  const replaced = replacedPaths(rest, entries);
  const through = whiteouts
    .filter((operation) => !isDirect(operation))
    .flatMap((operation) => {
      const way = followed(rest, parentOf(operation));
      if (way.end === undefined || way.passes.some(({ path }) => replaced.has(path))) return [];
      return [{ ...operation, path: [...way.end, nameOf(operation)].join("/") }];
    });
  return [...direct, ...through, ...entries];
}

/** Where the lower layers have something that an entry of the layer replaces. */
function replacedPaths(tree: Directory, entries: Layer): Set<string> {
  const replaced = new Set<string>();
  for (const entry of entries) {
    if (entry.path.includes(".wh.")) continue;
    const way = followed(tree, parentOf(entry));
    if (way.end === undefined || way.passes.some(({ path }) => replaced.has(path))) continue;
    const path = [...way.end, nameOf(entry)].join("/");
    const old = at(tree, [...way.end, nameOf(entry)]);
    if (old === undefined) continue;
    const isSame =
      entry.kind === "symlink"
        ? old.target === entry.target
        : entry.kind === "directory" && old.entries !== undefined;
    if (!isSame) replaced.add(path);
  }
  return replaced;
}

interface Followed {
  /** What exists on the way, by its path without links. */
  readonly passes: { readonly path: string; readonly isLink: boolean }[];
  /** The directory that is reached; undefined when there is none. */
  readonly end: string[] | undefined;
}

function followed(tree: Directory, path: string): Followed {
  const passes: Followed["passes"] = [];
  let names: string[] = [];
  let coming = split(path);
  for (let steps = 0; coming.length > 0; steps++) {
    if (steps > 1000) return { passes, end: undefined }; // in a circle
    const [name, ...others] = coming;
    coming = others;
    if (name === "..") {
      names = names.slice(0, -1);
      continue;
    }
    names = [...names, name!];
    const inode = at(tree, names);
    if (inode === undefined) continue;
    passes.push({ path: names.join("/"), isLink: inode.target !== undefined });
    if (inode.target !== undefined) {
      coming = [...split(inode.target), ...coming];
      names = inode.target.startsWith("/") ? [] : names.slice(0, -1);
    } else if (inode.entries === undefined) return { passes, end: undefined };
  }
  const isThere = at(tree, names)?.entries !== undefined;
  return { passes, end: isThere ? names : undefined };
}

function at(tree: Directory, names: readonly string[]) {
  let inode: Inode | undefined = tree;
  for (const name of names) {
    const entry: Entry | undefined = inode?.entries?.get(name as ByteString);
    inode = entry && inodeOf(entry);
  }
  return inode;
}

function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function parentOf({ path }: LayerOperation): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

function nameOf({ path }: LayerOperation): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
