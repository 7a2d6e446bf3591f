/**
 * `sealfs check`: applies every rule of the format, and reads every object.
 *
 * @module
 */
import type { Command } from "commander";
import { type CheckReport, checkImageFile } from "../../inspect/check-image.ts";
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
      const { report, error } = await checkImageFile(target, store, (done, total) =>
        bar.update(done, total),
      );
      bar.end();
      if (json) io.document(report);
      else for (const line of lines(target, report)) io.print(line);
      if (error !== undefined) throw error;
    });
}

function lines(target: string, { image, objects }: CheckReport): string[] {
  if (image !== undefined) return []; // the error tells
  const problems = objects?.map(({ problem, path }) => `${problem} ${path}`) ?? [];
  const good = objects?.length === 0 ? ["every object is there and right"] : [];
  return [`${target}: obeys every rule of the format`, ...problems, ...good];
}
