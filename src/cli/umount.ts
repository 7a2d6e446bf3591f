/**
 * `sealfs umount`: end a mount.
 *
 * @module
 */
import type { Command } from "commander";
import { unmountImage } from "../mount/unmount.ts";
import type { Io } from "./io.ts";

/** Adds arguments, options and action. */
export function declare(command: Command, _io: Io): void {
  command
    .argument("<directory>", "where sealfs has mounted an image")
    .option("-l, --lazy", "also while it is in use: what is open works until it is closed")
    .action((directory: string, options: { lazy?: boolean }) => unmountImage(directory, options));
}
