/**
 * `sealfs preflight`: which ways to mount this machine has, and what each promises.
 *
 * @module
 */
import { tmpdir } from "node:os";
import type { Command } from "commander";
import { preflight } from "../../mount/preflight.ts";
import { preflightLines } from "../print/preflight.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";

interface Options {
  readonly store?: string;
  readonly json?: true;
}

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  addNote(command, "Everything is tried, with files and mounts that no other process sees.")
    .option(
      "--store <dir>",
      "the store whose file system to try; files are created there and removed (default: a " +
        "temporary directory)",
    )
    .option("--json", "print one JSON document")
    .action((options: Options) => {
      const report = preflight(options.store ?? tmpdir());
      if (options.json === true) io.document(report, 2);
      else for (const line of preflightLines(report)) io.print(line);
    });
}
