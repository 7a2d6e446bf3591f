/**
 * `sealfs export`: an image with its objects and bundles as one tar on standard output.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { exportImage } from "../../archive/export.ts";
import { Store } from "../../store/store.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { type PlatformOption, platformOption } from "../options/platform-option.ts";
import { addNote } from "../options/help-note.ts";

interface Options extends PlatformOption {
  readonly store: string;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "On the other machine, sealfs import reads it. Unpacked with tar, it is a store by itself.",
  )
    .argument("<image>", "a name or id in the store")
    .requiredOption("--store <dir>", "the store")
    .addOption(platformOption("which image of that name (default: this machine's)"))
    .action(async (image: string, { store, platform }: Options) => {
      if (process.stdout.isTTY) {
        throw new UsageError("USAGE", "standard output is a terminal: redirect it to a file");
      }
      const progress = io.progress("exporting");
      const result = await interruptible("export", (signal) =>
        exportImage(Store.open(store), image, (bytes) => io.writeUntil(signal, bytes), {
          platform,
          onProgress: (done, total) => progress.update(done, total),
        }),
      ).finally(() => progress.end());
      const { id, objects, bundles, bytes } = result;
      io.log(
        `exported ${id}: ${counted(objects, "object")}, ${counted(bundles, "bundle")}, ${formatBytes(bytes)}`,
      );
    });
}
