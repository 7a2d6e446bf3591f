/**
 * `sealfs images`: lists the images of a store.
 *
 * @module
 */
import type { Command } from "commander";
import { type ListedImage, listImages } from "../../store/listing.ts";
import { Store } from "../../store/store.ts";
import { formatTime } from "../../trust/time.ts";
import type { Io } from "../terminal/io.ts";
import { formatBytes } from "../terminal/units.ts";
import { addNote } from "../options/help-note.ts";
import { LineWriter } from "../terminal/line-writer.ts";
import { type Column, tableRow } from "../terminal/table.ts";

interface Options {
  store: string;
  json?: true;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Columns: id, size of its objects, number of objects, bundles, names.\n" +
      "Signatures are not checked: sealfs verify does that.",
  )
    .requiredOption("--store <dir>", "the store")
    .option("--json", "print one JSON document")
    .action(({ store, json }: Options) => {
      const lines = new LineWriter(io);
      const images = listImages(Store.open(store));
      if (json) lines.writeArray(images, asJson);
      else lines.writeAll(images, asLine);
    });
}

/** Rows come one after the other, so that widths are not those of all cells. */
const COLUMNS: readonly Column[] = [
  {},
  { width: 10, align: "right" },
  { width: 7, align: "right", gap: 1 },
  { width: 9, align: "right", gap: 1 },
];

function asLine({ id, names, contents, problem, bundles }: ListedImage): string {
  const size = contents === undefined ? "damaged" : formatBytes(contents.objectBytes);
  const signed = bundles.length === 0 ? "unsigned" : `${bundles.length} signed`;
  const objects = String(contents?.objects ?? "-");
  const name = names.length === 0 ? "-" : names.join(" ");
  const row = tableRow([id, size, objects, signed, name], COLUMNS);
  return problem === undefined ? row : `${row}  (${problem})`;
}

function asJson({ id, names, contents, problem, bundles }: ListedImage): object {
  return {
    id,
    names,
    ...(problem === undefined ? contents : { problem }),
    bundles: bundles.map(({ keyId, name, version, created, expires }) => ({
      keyId,
      name,
      version,
      created: formatTime(created),
      expires: formatTime(expires),
    })),
  };
}
