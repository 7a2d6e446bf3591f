/**
 * `sealfs rm`: removes names of images.
 *
 * @module
 */
import type { Command } from "commander";
import { removeNames } from "../../store/remove-name.ts";
import { type ForeignStoreOption, foreignStore } from "../options/foreign-store.ts";
import { Store } from "../../store/store.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";

interface Options extends ForeignStoreOption {
  readonly store: string;
}

export function declare(command: Command, io: Io): void {
  addNote(command, "sealfs gc removes the images that have no name any more.")
    .argument("<name...>", "names to remove")
    .requiredOption("--store <dir>", "the store")
    .addOption(foreignStore())
    .action((names: string[], { store, foreignStore: foreignOwner }: Options) => {
      removeNames(Store.open(store, { foreignOwner }), names);
      for (const name of names) io.log(`removed the name ${name}`);
    });
}
