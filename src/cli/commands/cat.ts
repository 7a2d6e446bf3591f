/**
 * `sealfs cat`: prints a file of an image.
 *
 * @module
 */
import type { Command } from "commander";
import { openImage } from "../../verify/open-image.ts";
import { readFileOf } from "../../inspect/read-file.ts";
import { parsePrintable } from "../../tree/paths.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";

export function declare(command: Command, io: Io): void {
  addImageArgument(command)
    .argument("<path>", "a file in the image; \\xhh is a byte")
    .action(async (target: string, path: string, { store }: { store?: string[] }) => {
      const image = await openImage(target, store);
      for await (const chunk of readFileOf(image, parsePrintable(path), store)) io.write(chunk);
    });
}
