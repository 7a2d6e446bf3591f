/**
 * `sealfs status`: what is mounted, how, and how it does.
 *
 * @module
 */
import type { Command } from "commander";
import { statusColumns, statusDetails, statusTable } from "../terminal/status-lines.ts";
import { readStatus } from "../../mount/status.ts";
import type { Io } from "../terminal/io.ts";

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  command
    .argument("[name|directory]", "an image's name or id, or where it is mounted")
    .option("--json", "print a JSON array")
    .addHelpText(
      "after",
      `\nOne line for each mount: ${statusColumns}.\nNamed ones are shown with their counters, with how much they hold, and how much of that the stores have,\nwhatever df says of them.`,
    )
    .action(async (wanted: string | undefined, options: { json?: true }) => {
      const all = await readStatus(wanted);
      if (options.json === true) io.print(JSON.stringify(all, undefined, 2));
      else if (wanted === undefined) for (const line of statusTable(all)) io.print(line);
      else io.print(all.map((status) => statusDetails(status).join("\n")).join("\n\n"));
    });
}
