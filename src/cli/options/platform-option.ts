/**
 * `--platform`: which of the images that share a name.
 *
 * @module
 */
import { Option } from "commander";
import { type Platform, parsePlatform } from "../../platform/platform.ts";

/** The value of {@link platformOption}. */
export interface PlatformOption {
  readonly platform?: Platform;
}

/** The option, read as {@link Platform}. */
export function platformOption(description: string): Option {
  return new Option("--platform <os/arch>", description).argParser(parsePlatform);
}
