/**
 * `sealfs du`: how much disk space each image of a store takes.
 *
 * @module
 */
import type { Command } from "commander";
import { Store } from "../../store/store.ts";
import { type ImageUsage, measureUsage } from "../../store/usage.ts";
import type { Io } from "../terminal/io.ts";
import { formatBytes } from "../terminal/units.ts";
import { type Column, tableRow } from "../terminal/table.ts";
import { addNote } from "../options/help-note.ts";

interface Options {
  store: string;
  json?: true;
}

export function declare(command: Command, io: Io): void {
  addNote(command, "Columns: own size, shared with other images, total, names or id.")
    .requiredOption("--store <dir>", "the store")
    .option("--json", "print one JSON document, sizes in bytes")
    .action(({ store, json }: Options) => {
      const usage = measureUsage(Store.open(store));
      if (json) {
        io.document(usage);
        return;
      }
      for (const image of usage.images) io.print(line(image));
      const sum = usage.referenced + usage.unreferenced;
      io.log(`${formatBytes(sum)}, of which ${formatBytes(usage.unreferenced)} belong to no image`);
    });
}

const COLUMNS: readonly Column[] = [
  { width: 10, align: "right" },
  { width: 10, align: "right", gap: 1 },
  { width: 10, align: "right", gap: 1 },
];

function line({ id, names, own, shared, total }: ImageUsage): string {
  const name = names.length === 0 ? id : names.join(" ");
  return tableRow([...[own, shared, total].map(formatBytes), name], COLUMNS);
}
