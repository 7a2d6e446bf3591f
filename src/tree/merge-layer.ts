/**
 * One layer sorted into what it hides and what it adds, so that whiteouts can act before entries.
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { type Layer, type LayerEntry, MergeEntry } from "./merge-entry.ts";
import { WHITEOUT, whiteoutKind } from "./whiteouts.ts";

/** An entry with its path taken apart. */
export interface LocatedEntry {
  readonly item: MergeEntry;
  readonly names: readonly ByteString[];
}

export interface LayerParts {
  readonly whiteouts: readonly LocatedEntry[];
  /** Everything else, in the order of the archive. */
  readonly entries: readonly LayerEntry[];
  /** How many entries were AUFS's own bookkeeping. */
  readonly leftovers: number;
  /** The paths of the entries; made when first asked for. */
  readonly paths: () => ReadonlySet<string>;
}

/**
 * Sorts the entries of a layer, for the profile of that name.
 *
 * @throws {@link FormatError} for a whiteout that the profile refuses
 */
export function sortLayer(layer: Layer, profile: string): LayerParts {
  const whiteouts: LocatedEntry[] = [];
  const entries: LayerEntry[] = [];
  let leftovers = 0;
  for (const source of layer.entries) {
    // Most entries have no such name, and are looked at when they are added.
    if (!source.entry.path.includes(WHITEOUT)) {
      entries.push(source);
      continue;
    }
    const item = new MergeEntry(source, layer.label, profile);
    const names = item.split(item.entry.path, "path");
    const kind = whiteoutKind(item, names);
    if (kind === "entry") entries.push(source);
    else if (kind === "whiteout") whiteouts.push({ item, names });
    else leftovers++;
  }
  let paths: Set<string> | undefined;
  const pathOf = (source: LayerEntry) => {
    const item = new MergeEntry(source, layer.label, profile);
    return joinPath(item.split(item.entry.path, "path"), item.entry.path);
  };
  return { whiteouts, entries, leftovers, paths: () => (paths ??= new Set(entries.map(pathOf))) };
}

/** The path of `names`; `path`, which they came from, when nothing was left out of it. */
export function joinPath(names: readonly ByteString[], path: ByteString): ByteString {
  let length = names.length - 1;
  for (const name of names) length += name.length;
  return length === path.length ? path : ascii(names.join("/"));
}
