/**
 * `sealfs umount`: ends a mount.
 *
 * @module
 */
import type { Command } from "commander";
import { unmountImage } from "../../mount/unmount.ts";
import type { Io } from "../terminal/io.ts";

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  command
    .argument("<directory>", "the mount point")
    .option(
      "-l, --lazy",
      "detach it even while it is in use; open files work until they are closed",
    )
    .action(async (directory: string, options: { lazy?: boolean }) => {
      const { server } = await unmountImage(directory, options);
      if (server === undefined) return;
      io.log(
        `still in use, here or in another mount namespace: its server, process ${server}, ends later`,
      );
    });
}
