/**
 * `sealfs ls`: lists files of an image.
 *
 * @module
 */
import type { Command } from "commander";
import { printable } from "../../bytes/bytestring.ts";
import { listFiles, recordOf } from "../../inspect/list-files.ts";
import { openImage } from "../../verify/open-image.ts";
import { parsePrintable } from "../../tree/paths.ts";
import { longLine } from "../print/ls.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";
import { LineWriter } from "../terminal/line-writer.ts";

interface Options {
  long?: true;
  recursive?: true;
  json?: true;
  store?: string[];
}

export function declare(command: Command, io: Io): void {
  addImageArgument(command)
    .argument("[path]", "a file or directory in the image; \\xhh is a byte", "/")
    .option("-l, --long", "also print type, mode, links, owner, size and time")
    .option("-R, --recursive", "list everything below the directory")
    .option("--json", "print one JSON document")
    .action(async (target: string, path: string, options: Options) => {
      const image = await openImage(target, options.store);
      const files = listFiles(image, parsePrintable(path), options.recursive);
      const lines = new LineWriter(io);
      if (options.json) lines.writeArray(files, (file) => recordOf(image, file));
      else if (options.long) lines.writeAll(files, (file) => longLine(image, file));
      else lines.writeAll(files, (file) => printable(file.path));
    });
}
