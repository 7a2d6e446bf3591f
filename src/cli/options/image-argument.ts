/**
 * How the commands that look into an image are told which one.
 *
 * @module
 */
import type { Command } from "commander";

/** Collects the values of an option that may be repeated. */
export const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** Adds the argument `<image>` and the option `--store`, which gives `store?: string[]`. */
export function addImageArgument(command: Command): Command {
  return command
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--store <dir>", "a store with the image or its objects; may be repeated", collect)
    .addHelpText("after", "\nSignatures are not looked at: sealfs verify does that.");
}
