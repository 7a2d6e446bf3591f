/**
 * `sealfs preflight`: which ways to mount this machine has, and what each promises.
 *
 * @module
 */
import { tmpdir } from "node:os";
import type { Command } from "commander";
import { preflight, preflightLines } from "../../mount/preflight.ts";
import type { Io } from "../terminal/io.ts";

interface Options {
  readonly store?: string;
  readonly json?: true;
}

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  command
    .option("--store <dir>", "store whose file system is tried; written to and left as it was")
    .option("--json", "print a JSON document")
    .addHelpText("after", "\nEverything is tried, with files and mounts that nobody else sees.")
    .action((options: Options) => {
      const report = preflight(options.store ?? tmpdir());
      if (options.json === true) io.print(JSON.stringify(report, undefined, 2));
      else for (const line of preflightLines(report)) io.print(line);
    });
}
