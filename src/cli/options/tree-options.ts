/**
 * How a source becomes one tree, and the tree an image.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { type ProfileName, type XattrMode, profileNames } from "../../tree/merge.ts";
import { limits } from "../../limits.ts";
import { byteCount } from "./numbers.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";

/** The values of {@link declareTree}'s options. */
export interface TreeOptions {
  readonly profile?: ProfileName;
  readonly compareProfiles?: true;
  readonly xattrs?: XattrMode;
  readonly strict?: true;
  readonly maxLayerSize?: number;
  readonly algorithm?: VerityAlgorithm;
  readonly formatVersion: "0" | "1" | "auto";
  readonly seekIndex: boolean;
  readonly allowMissing?: true;
  readonly reflink?: true;
}

/** Adds the options of {@link TreeOptions}. */
export function declareTree(command: Command): Command {
  return command
    .optionsGroup("Tree and image:")
    .addOption(
      new Option("--profile <name>", "how layers become one tree (default: oci-v1)").choices([
        ...profileNames,
      ]),
    )
    .option("--compare-profiles", "also print the digest under every profile")
    .addOption(
      new Option("--xattrs <mode>", "profile composefs-oci-v1: which xattrs to keep").choices([
        "composefs",
        "composefs-user",
      ]),
    )
    .option("--strict", "fail where otherwise a warning is printed")
    .option(
      "--max-layer-size <bytes>",
      "how much a layer may hold, uncompressed and its sparse files expanded, such as 20G " +
        "(default: 4G, or 1000 times its blob)",
      byteCount("--max-layer-size", limits.layerBytes),
    )
    .addOption(
      new Option("--algorithm <hash>", "the digests of a new store").choices(["sha256", "sha512"]),
    )
    .addOption(
      new Option("--format-version <n>", "the version of the image format")
        .choices(["0", "1", "auto"])
        .default("auto"),
    )
    .option("--no-seek-index", "do not record where the objects lie in the layers")
    .option("--allow-missing", "dump files: the objects need not be in the store")
    .option("--reflink", "directories: share blocks with the files where possible");
}

/** The options as a build takes them; the algorithm is the store's. */
export function treeOptions(options: TreeOptions) {
  const { profile, xattrs, seekIndex, formatVersion } = options;
  return {
    profile,
    xattrs,
    seekIndex,
    strict: options.strict ?? false,
    maxLayerBytes: options.maxLayerSize,
    allowMissing: options.allowMissing ?? false,
    compareProfiles: options.compareProfiles ?? false,
    reflink: options.reflink ?? false,
    formatVersion: formatVersion === "auto" ? "auto" : formatVersion === "0" ? 0 : 1,
  } as const;
}
