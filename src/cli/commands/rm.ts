/**
 * `sealfs rm`: takes a name away from an image.
 *
 * @module
 */
import type { Command } from "commander";
import { removeNames } from "../../store/remove-name.ts";
import { Store } from "../../store/store.ts";
import type { Io } from "../terminal/io.ts";

export function declare(command: Command, io: Io): void {
  command
    .argument("<name...>", "names to remove")
    .requiredOption("--store <dir>", "the store")
    .addHelpText("after", "\nsealfs gc removes the images that no name leads to any more.")
    .action((names: string[], { store }: { store: string }) => {
      removeNames(Store.open(store), names);
      for (const name of names) io.log(`removed the name ${name}`);
    });
}
