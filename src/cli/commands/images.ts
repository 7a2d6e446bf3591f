/**
 * `sealfs images`: lists the images of a store, or the versions that names have had.
 *
 * @module
 */
import type { Command } from "commander";
import { listHistory } from "../../store/history.ts";
import { listImages } from "../../store/listing.ts";
import { Store } from "../../store/store.ts";
import { addNote } from "../options/help-note.ts";
import {
  IMAGE_TITLES,
  idText,
  imageColumns,
  imageDocument,
  imageLine,
  versionDocument,
  versionLines,
} from "../print/images.ts";
import type { Io } from "../terminal/io.ts";
import { LineWriter } from "../terminal/line-writer.ts";
import { tableRow } from "../terminal/table.ts";

interface Options {
  readonly store: string;
  readonly history?: true;
  readonly trunc: boolean;
  readonly quiet?: true;
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Columns: id, size of its objects and their number, bundles, platforms, names.\n" +
      "Signatures are not checked: sealfs verify does that.",
  )
    .argument("[image...]", "only these: names or ids (default: all)")
    .requiredOption("--store <dir>", "the store")
    .option("--history", "list the signed versions that names have had, as far as they are here")
    .option("-q, --quiet", "print the ids alone")
    .option("--no-trunc", "print ids whole")
    .option("--json", "print one JSON document")
    .action((images: string[], options: Options) => {
      const show = options.history ? showHistory : showImages;
      show(Store.open(options.store), images, options, new LineWriter(io));
    });
}

function showImages(
  store: Store,
  wanted: readonly string[],
  { trunc, quiet, json }: Options,
  lines: LineWriter,
): void {
  const images = listImages(store, wanted);
  if (json) lines.writeArray(images, imageDocument);
  else if (quiet) lines.writeAll(images, ({ id }) => idText(id, !trunc));
  else {
    const columns = imageColumns(store.algorithm, !trunc);
    lines.writeAll([IMAGE_TITLES], (titles) => tableRow(titles, columns));
    lines.writeAll(images, (image) => imageLine(image, !trunc, columns));
  }
}

function showHistory(
  store: Store,
  names: readonly string[],
  { trunc, quiet, json }: Options,
  lines: LineWriter,
): void {
  const entries = listHistory(store, names.length === 0 ? undefined : names);
  if (json) lines.writeArray(entries, versionDocument);
  else if (quiet) lines.writeAll(entries, ({ id }) => idText(id, !trunc));
  else lines.writeAll(versionLines(entries, !trunc), (line) => line);
}
