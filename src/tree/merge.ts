/**
 * Layers into one tree, under a profile: a named set of rules whose result for a given image never
 * changes once released.
 *
 * Spec: docs/profiles.md.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import type { Directory } from "./inode.ts";
import type { Layer, ProfileName } from "./merge-entry.ts";
import { ComposefsMerge, type XattrMode } from "./profile-composefs.ts";
import { OciMerge } from "./profile-oci.ts";

export type { Layer, LayerEntry, ProfileName } from "./merge-entry.ts";
export type { XattrMode } from "./profile-composefs.ts";

/** The profiles by name; the first is the default. */
export const profileNames = ["oci-v1", "composefs-oci-v1"] as const satisfies ProfileName[];

export interface MergeOptions {
  /**
   * `oci-v1`: refuses a path that comes twice in one layer, one that goes through a symlink, and
   * leftovers of AUFS.
   */
  readonly strict?: boolean;
  /** `composefs-oci-v1`: which xattrs stay. */
  readonly xattrs?: XattrMode;
  /** Called with a message about each oddity that is accepted. */
  readonly warn?: (message: string) => void;
}

/**
 * Merges layers, lowest first, and gives a tree for the image writer. Each layer's entries are read
 * once. Takes time in proportion to the entries and the bytes of their paths.
 *
 * @throws {@link FormatError} when the profile refuses an entry, naming layer, entry and rule
 * @throws {@link UsageError} `USAGE` when an option does not belong to the profile
 */
export function mergeLayers(
  layers: Iterable<Layer>,
  profile: ProfileName,
  options: MergeOptions = {},
): Directory {
  const merge = newMerge(profile, options);
  for (const layer of layers) merge.add(layer);
  return merge.finish();
}

function newMerge(profile: ProfileName, options: MergeOptions): OciMerge | ComposefsMerge {
  if (profile === "composefs-oci-v1") return new ComposefsMerge(options.xattrs);
  if (options.xattrs !== undefined) {
    throw new UsageError("USAGE", `xattrs: expected none with the profile ${profile}, got a mode`);
  }
  return new OciMerge(options);
}
