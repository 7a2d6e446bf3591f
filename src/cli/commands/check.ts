/**
 * `sealfs check`: applies every rule of the format, and reads every object.
 *
 * @module
 */
import type { Command } from "commander";
import { checkImageFile } from "../../inspect/check-image.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";

interface Options {
  json?: true;
  store?: string[];
}

export function declare(command: Command, io: Io): void {
  addImageArgument(command)
    .option("--json", "print one JSON document")
    .action(async (target: string, { json, store }: Options) => {
      const bar = io.progress("checking objects");
      const result = await checkImageFile(target, store, (done, total) => bar.update(done, total));
      bar.end();
      if (json) io.print(JSON.stringify(result.report));
      else for (const line of result.lines) io.print(line);
      if (result.error !== undefined) throw result.error;
    });
}
