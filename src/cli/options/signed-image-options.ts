/**
 * Which signed image a command is about: where it lies, and under which name it must be signed.
 *
 * @module
 */
import type { Command } from "commander";
import { type PlatformOption, platformOption } from "./platform-option.ts";
import { repeated } from "./repeated.ts";

/** The values of {@link declareSignedImage}'s options. */
export interface SignedImageOptions extends PlatformOption {
  readonly store?: string[];
  readonly name?: string;
  readonly bundle?: string[];
}

/** The same of a command that needs a store. */
export interface StoredImageOptions extends SignedImageOptions {
  readonly store: string[];
}

/** Adds `--store` with its description, `--name`, `--platform` and `--bundle`. */
export function declareSignedImage(command: Command, store: string, needsStore = false): Command {
  return command
    .optionsGroup("Image:")
    .addOption(repeated("--store <dir>", store).makeOptionMandatory(needsStore))
    .option("--name <reference>", "the name that must be signed (default: its name in the store)")
    .addOption(platformOption("which image of that name (default: this machine's)"))
    .addOption(
      repeated(
        "--bundle <file>",
        "a signature bundle; may be repeated (default: those in the store, IMAGE.bundle.json)",
      ),
    );
}
