/**
 * `sealfs images`: lists the images of a store.
 *
 * @module
 */
import type { Command } from "commander";
import { formatPlatform } from "../../platform/platform.ts";
import { type ListedImage, listImages } from "../../store/listing.ts";
import { Store } from "../../store/store.ts";
import { formatTime } from "../../trust/time.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { addNote } from "../options/help-note.ts";
import type { Io } from "../terminal/io.ts";
import { LineWriter } from "../terminal/line-writer.ts";
import { type Column, tableRow } from "../terminal/table.ts";
import { formatBytes } from "../terminal/units.ts";

interface Options {
  readonly store: string;
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
    .requiredOption("--store <dir>", "the store")
    .option("-q, --quiet", "print the ids alone")
    .option("--no-trunc", "print ids whole")
    .option("--json", "print one JSON document")
    .action((options: Options) => list(Store.open(options.store), options, io));
}

function list(store: Store, { trunc, quiet, json }: Options, io: Io): void {
  const lines = new LineWriter(io);
  const idOf = ({ id }: { id: VerityDigest }) => (trunc ? id.slice(0, SHORT_ID) : id);
  if (quiet && !json) {
    lines.writeAll(store.images.list(), idOf);
    return;
  }
  const images = listImages(store);
  if (json) {
    lines.writeArray(images, asJson);
    return;
  }
  const columns = [{ width: trunc ? SHORT_ID : ID_LENGTH[store.algorithm] }, ...COLUMNS];
  io.print(tableRow(TITLES, columns));
  lines.writeAll(images, (image) => asLine(image, idOf(image), columns));
}

/** Hex digits of an id that are enough to tell images apart, as podman prints them. */
const SHORT_ID = 12;
const ID_LENGTH = { sha256: 64, sha512: 128 } as const;

/** Rows come one after the other, so that widths are not those of all cells. */
const COLUMNS: readonly Column[] = [
  { width: 10, align: "right" },
  { width: 7, align: "right" },
  { width: 8, align: "right" },
  { width: 13 },
];
const TITLES = ["IMAGE ID", "SIZE", "OBJECTS", "SIGNED", "PLATFORM", "NAMES"];

function asLine(image: ListedImage, id: string, columns: readonly Column[]): string {
  const { names, platforms, contents, problem, bundles } = image;
  const row = tableRow(
    [
      id,
      contents === undefined ? "damaged" : formatBytes(contents.objectBytes),
      String(contents?.objects ?? "-"),
      bundles.length === 0 ? "no" : String(bundles.length),
      platforms.join(",") || "-",
      names.join(" ") || "-",
    ],
    columns,
  );
  return problem === undefined ? row : `${row}  (${problem})`;
}

function asJson({ id, names, platforms, contents, problem, bundles }: ListedImage): object {
  return {
    id,
    names,
    platforms,
    ...(problem === undefined ? contents : { problem }),
    bundles: bundles.map(({ keyId, name, platform, version, created, expires }) => ({
      keyId,
      name,
      platform: platform && formatPlatform(platform),
      version,
      created: formatTime(created),
      expires: formatTime(expires),
    })),
  };
}
