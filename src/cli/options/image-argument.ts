/**
 * The image that a command looks into, without regard to signatures.
 *
 * @module
 */
import type { Command } from "commander";
import { addNote } from "./help-note.ts";
import { repeated } from "./repeated.ts";

/** Adds the argument `<image>` and the option `--store`, which gives `store?: string[]`. */
export function addImageArgument(command: Command): Command {
  command
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .addOption(
      repeated("--store <dir>", "a store with the image or its objects; may be repeated, in order"),
    );
  return addNote(command, "Signatures are not checked: sealfs verify does that.");
}
