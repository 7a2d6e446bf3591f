/**
 * `sealfs dump`: prints an image as a composefs dump file.
 *
 * @module
 */
import type { Command } from "commander";
import { dumpImage } from "../../erofs/tree.ts";
import { openImage } from "../../verify/open-image.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";

export function declare(command: Command, io: Io): void {
  addImageArgument(command).action(async (target: string, { store }: { store?: string[] }) => {
    for (const chunk of dumpImage(await openImage(target, store))) io.write(chunk);
  });
}
