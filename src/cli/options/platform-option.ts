/**
 * `--platform`: which of the images that share a name.
 *
 * @module
 */
import { type Command, Option } from "commander";
import type { SourceReference } from "../../oci/reference.ts";
import { listPlatforms } from "../../oci/source/list-platforms.ts";
import { type Platform, formatPlatform, parsePlatform } from "../../platform/platform.ts";

/** The value of {@link platformOption}. */
export interface PlatformOption {
  readonly platform?: Platform;
}

/** The values of {@link declarePlatforms}'s options. */
export interface PlatformsOption {
  readonly platform?: readonly Platform[];
  readonly allPlatforms?: true;
}

/** Adds `--platform`, for several that commas separate, and `--all-platforms`. */
export function declarePlatforms(command: Command): Command {
  const platforms = new Option(
    "--platform <os/arch[,…]>",
    "which images of an index, such as linux/amd64,linux/arm64 (default: the only one, or this " +
      "machine's)",
  );
  return command
    .optionsGroup("OCI image:")
    .addOption(platforms.argParser(parsePlatforms).conflicts("allPlatforms"))
    .option("--all-platforms", "the images of all platforms, which share their name");
}

/** Each once. */
function parsePlatforms(text: string): Platform[] {
  const platforms = text.split(",").map(parsePlatform);
  return [...new Map(platforms.map((each) => [formatPlatform(each), each])).values()];
}

/**
 * The platforms that the options ask for, with `--all-platforms` those that the source has; undefined
 * for the only image, or this machine's.
 */
export async function platformsToTake(
  reference: SourceReference,
  { platform, allPlatforms }: PlatformsOption,
  source: Parameters<typeof listPlatforms>[1],
): Promise<readonly (Platform | undefined)[]> {
  if (allPlatforms !== true) return platform ?? [undefined];
  const listed = await listPlatforms(reference, source);
  return listed.length > 0 ? listed : [undefined];
}

/** The option, read as {@link Platform}. */
export function platformOption(description: string): Option {
  return new Option("--platform <os/arch>", description).argParser(parsePlatform);
}
