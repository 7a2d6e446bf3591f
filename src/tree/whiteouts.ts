/**
 * Whiteouts: names by which a layer removes what the layers below it have.
 *
 * Spec: docs/profiles.md, "whiteouts"; OCI image specification, layer.md, "Whiteouts".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import type { Directory } from "./inode.ts";
import { type MergeEntry, quote } from "./merge-entry.ts";

/** A file whose name has this prefix hides the sibling with the rest of the name. */
export const WHITEOUT = ".wh.";
/** A file with this name hides all its siblings. */
export const OPAQUE = ".wh..wh..opq";
/** Prefix of AUFS's own files; the opaque marker has it too. */
const AUFS = ".wh..wh.";

/** Removes from a directory what the whiteout called `name` hides. */
export function applyWhiteout(name: ByteString, { entries }: Directory): void {
  if (name === OPAQUE) entries.clear();
  else entries.delete(ascii(name.slice(WHITEOUT.length)));
}

/**
 * Whether an entry is a file of the layer, a whiteout, or something that AUFS left.
 *
 * @throws {@link FormatError} for a whiteout without a name, or one that has entries below it
 */
export function whiteoutKind(
  item: MergeEntry,
  names: readonly ByteString[],
): "entry" | "whiteout" | "leftover" {
  const rule = "whiteouts";
  for (const [index, name] of names.entries()) {
    if (!name.startsWith(WHITEOUT)) continue;
    if (name.startsWith(AUFS) && name !== OPAQUE) return "leftover";
    if (index < names.length - 1) {
      throw item.refuse("MALFORMED", rule, `${quote(name)}: expected a file, got a directory`);
    }
    if (name === ".wh." || name === ".wh.." || name === ".wh...") {
      throw item.refuse(
        "MALFORMED",
        rule,
        `${quote(name)}: expected the name of a file after ".wh."`,
      );
    }
    return "whiteout";
  }
  return "entry";
}
