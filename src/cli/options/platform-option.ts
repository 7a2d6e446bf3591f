/**
 * `--platform`: which of the images that share a name.
 *
 * @module
 */
import { Option } from "commander";
import { type Platform, formatPlatform, parsePlatform } from "../../platform/platform.ts";

/** The value of {@link platformOption}. */
export interface PlatformOption {
  readonly platform?: Platform;
}

/** The value of {@link platformsOption}. */
export interface PlatformsOption {
  readonly platform?: readonly [Platform, ...Platform[]];
}

/** The option for several, separated by commas, each once. */
export function platformsOption(description: string): Option {
  return new Option("--platform <os/arch[,…]>", description).argParser((text: string) => {
    const platforms = text.split(",").map(parsePlatform);
    return [...new Map(platforms.map((each) => [formatPlatform(each), each])).values()];
  });
}

/** The option, read as {@link Platform}. */
export function platformOption(description: string): Option {
  return new Option("--platform <os/arch>", description).argParser(parsePlatform);
}
