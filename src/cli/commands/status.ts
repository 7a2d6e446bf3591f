/**
 * `sealfs status`: what is mounted, how, and how it does.
 *
 * @module
 */
import type { Command } from "commander";
import { statusColumns, statusDetails, statusTable } from "../print/status.ts";
import { readStatus } from "../../mount/status.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  addNote(
    command,
    `Prints one line per mount: ${statusColumns}.\n` +
      "For a name or directory, prints all that is known, with counters and what the stores have of the image.",
  )
    .argument("[name|directory]", "an image's name or id, or its mount point")
    .option("--json", "print a JSON array")
    .action(async (wanted: string | undefined, options: { json?: true }) => {
      const all = await readStatus(wanted);
      if (options.json === true) io.document(all, 2);
      else if (wanted === undefined) for (const line of statusTable(all)) io.print(line);
      else io.print(all.map((status) => statusDetails(status).join("\n")).join("\n\n"));
    });
}
