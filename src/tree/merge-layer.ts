/**
 * One layer sorted into what it hides and what it adds, so that whiteouts can act before entries.
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import { type Layer, type LayerEntry, MergeEntry, type ProfileName } from "./merge-entry.ts";
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
  /** How many of the entries are AUFS's own bookkeeping, and which. */
  readonly leftovers: number;
  readonly isLeftover: (source: LayerEntry) => boolean;
  /** An entry with its path. */
  readonly locate: (source: LayerEntry) => LocatedEntry;
  /** The paths of the entries; made when first asked for. */
  readonly paths: () => ReadonlySet<string>;
}

/**
 * Sorts the entries of a layer, for the profile of that name.
 *
 * @throws {@link FormatError} for a whiteout that the profile refuses
 */
export function sortLayer(layer: Layer, profile: ProfileName): LayerParts {
  const whiteouts: LocatedEntry[] = [];
  const entries: LayerEntry[] = [];
  const leftovers = new Set<LayerEntry>();
  const locate = (source: LayerEntry): LocatedEntry => {
    const item = new MergeEntry(source, layer.label, profile);
    return { item, names: item.split(item.entry.path, "path") };
  };
  for (const source of layer.entries) {
    // Most entries have no such name, and are looked at when they are added.
    if (!source.entry.path.includes(WHITEOUT)) {
      entries.push(source);
      continue;
    }
    const located = locate(source);
    const kind = whiteoutKind(located.item, located.names);
    if (kind === "whiteout") whiteouts.push(located);
    else entries.push(source);
    if (kind === "leftover") leftovers.add(source);
  }
  let made: Set<string> | undefined;
  const pathOf = (source: LayerEntry) => {
    const { item, names } = locate(source);
    return joinPath(names, item.entry.path);
  };
  const paths = () => (made ??= new Set(entries.map(pathOf)));
  return {
    whiteouts,
    entries,
    leftovers: leftovers.size,
    isLeftover: (source) => leftovers.size > 0 && leftovers.has(source),
    locate,
    paths,
  };
}

/** The path of `names`; `path`, which they came from, when nothing was left out of it. */
export function joinPath(names: readonly ByteString[], path: ByteString): ByteString {
  let length = names.length - 1;
  for (const name of names) length += name.length;
  return length === path.length ? path : ascii(names.join("/"));
}
