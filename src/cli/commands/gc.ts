/**
 * `sealfs gc`: removes images without a name, and objects of no image.
 *
 * @module
 */
import type { Command } from "commander";
import { type ForeignStoreOption, foreignStore } from "../options/foreign-store.ts";
import { type GcResult, collectGarbageUntil } from "../../store/gc/gc.ts";
import { Store } from "../../store/store.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { addNote } from "../options/help-note.ts";
import { wholeNumber } from "../options/numbers.ts";

interface Options extends ForeignStoreOption {
  store: string;
  keep: number;
  dryRun?: true;
  quarantine?: true;
  timeout: number;
  json?: true;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Mounted images are kept. If a name leads to a damaged image, nothing is removed at all.",
  )
    .requiredOption("--store <dir>", "the store")
    .option(
      "--keep <n>",
      "images to keep of each name: the current one, and those signed last",
      wholeNumber("--keep", 1),
      1,
    )
    .option("--dry-run", "only print what would be removed")
    .option("--quarantine", "also remove the damaged objects in quarantine")
    .addOption(foreignStore())
    .option("--timeout <seconds>", "how long to wait for writers", wholeNumber("--timeout", 0), 30)
    .option("--json", "print one JSON document, sizes in bytes")
    .action(async (options: Options) => {
      const { store, keep, dryRun, quarantine, timeout, json } = options;
      const result = await interruptible("gc", (signal) =>
        collectGarbageUntil(signal, Store.open(store, { foreignOwner: options.foreignStore }), {
          keep,
          dryRun: dryRun === true,
          quarantine: quarantine === true,
          timeoutMs: timeout * 1000,
        }),
      );
      if (json) io.document(result);
      else for (const line of lines(result)) io.print(line);
    });
}

function lines({ kept, removed, dryRun }: GcResult): string[] {
  const { objectBytes, leafCacheBytes, layerBytes, quarantine } = removed;
  const bytes = objectBytes + leafCacheBytes + layerBytes + quarantine.bytes;
  return [
    ...removed.images.map((id) => `image ${id}`),
    `${dryRun ? "would free" : "freed"} ${formatBytes(bytes)}: ${counted(removed.images.length, "image")}, ` +
      `${counted(removed.objects, "object")}, ${counted(removed.bundles, "bundle")}, ` +
      counted(removed.leafCaches, "leaf cache"),
    `kept ${counted(kept.images, "image")}, ${counted(kept.objects, "object")}`,
  ];
}
