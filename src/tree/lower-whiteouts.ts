/**
 * What the whiteouts of a layer hide in the layers below it, whatever the order in which they and
 * the layer's other entries stand.
 *
 * Spec: docs/profiles.md, "whiteouts" and "whiteouts below symlinks".
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import type { FollowedLinks } from "./followed-links.ts";
import { type Directory, type Inode, isDirectory } from "./inode.ts";
import type { MergeEntry } from "./merge-entry.ts";
import type { LayerParts, LocatedEntry } from "./merge-layer.ts";
import { type Place, endOf, followWay } from "./symlink-way.ts";
import { applyWhiteout } from "./whiteouts.ts";

/**
 * Removes what the whiteouts of a layer hide in `root`, which holds the lower layers only, as yet.
 *
 * @throws {@link FormatError} for symlinks on the way to a whiteout that cannot be followed
 */
export function hideLower(root: Directory, parts: LayerParts, followed: FollowedLinks): void {
  const linked = parts.whiteouts.filter((whiteout) => !hideWithoutLinks(root, whiteout));
  if (linked.length === 0) return;
  const replaced = replacedPlaces(root, parts);
  // Each is looked up before any acts, so that their order says nothing.
  const hidden = linked.map((whiteout) => hiddenPlace(root, whiteout, replaced, followed));
  for (const place of hidden) {
    if (place !== undefined) applyWhiteout(place.name, place.directory);
  }
}

/** Applies a whiteout unless there is a symlink on its way: false then. */
function hideWithoutLinks(root: Directory, { names }: LocatedEntry): boolean {
  let directory = root;
  for (let depth = 0; depth < names.length - 1; depth++) {
    const child = directory.entries.get(names[depth]!) as Inode | undefined;
    if (child === undefined) return true;
    if (!isDirectory(child)) return child.target === undefined;
    directory = child;
  }
  applyWhiteout(names.at(-1)!, directory);
  return true;
}

/** Where a whiteout below a symlink acts; undefined when it hides nothing. */
function hiddenPlace(
  root: Directory,
  { item, names }: LocatedEntry,
  replaced: Places,
  followed: FollowedLinks,
): Place | undefined {
  let link: string | undefined;
  const way = followWay(root, names.slice(0, -1), item, (step) => {
    link ??= step.link?.();
    return !replaced.has(step);
  });
  if (way === undefined) return undefined;
  const first = link;
  if (first !== undefined) followed.note(item, "path", () => first);
  const directory = endOf(way);
  return directory && { directory, name: names.at(-1)! };
}

/** Places in the lower layers at which the layer itself has something else. */
function replacedPlaces(root: Directory, { entries, isLeftover, locate }: LayerParts): Places {
  const replaced = new Places();
  for (const source of entries) {
    if (isLeftover(source)) continue;
    const { item, names } = locate(source);
    const name = names.at(-1);
    if (name === undefined) continue;
    const way = followWay(root, names.slice(0, -1), item, (step) => !replaced.has(step));
    const directory = way && endOf(way);
    const old = directory?.entries.get(name) as Inode | undefined;
    if (old !== undefined && !stays(old, item)) replaced.add({ directory: directory!, name });
  }
  return replaced;
}

/** Whether what is there leads to the same after the entry has been added. */
function stays(old: Inode, { entry }: MergeEntry): boolean {
  if (entry.type === "symlink") return old.target === entry.linkPath;
  return entry.type === "directory" && isDirectory(old);
}

class Places {
  readonly #names = new Map<Directory, Set<ByteString>>();

  add({ directory, name }: Place): void {
    const names = this.#names.get(directory);
    if (names === undefined) this.#names.set(directory, new Set([name]));
    else names.add(name);
  }

  has({ directory, name }: Place): boolean {
    return this.#names.get(directory)?.has(name) ?? false;
  }
}
