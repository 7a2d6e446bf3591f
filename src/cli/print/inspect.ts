/**
 * What `sealfs inspect` prints.
 *
 * @module
 */
import type { ImageSummary } from "../../inspect/inspect-image.ts";
import type { SeekSummary } from "../../inspect/inspect-seek.ts";
import { tableLines } from "../terminal/table.ts";
import { counted } from "../terminal/units.ts";

const nameLabels: Record<string, string> = {
  files: "files",
  directories: "directories",
  symlinks: "symlinks",
  characterDevices: "character devices",
  blockDevices: "block devices",
  fifos: "fifos",
  sockets: "sockets",
};

/** One line per fact, in columns. */
export function summaryLines(summary: ImageSummary): string[] {
  const { inline, external, objects } = summary;
  const rows: [label: string, value: string][] = [
    ["format", `composefs version ${summary.formatVersion}`],
    ["flags", summary.flags.join(", ") || "none"],
    ["size", `${summary.size} bytes`],
    ["verity digest", summary.verityDigest],
    ["sha256", summary.sha256],
    ["oldest time", `${summary.buildTime} s`],
    ["inodes", `${summary.inodes}`],
  ];
  for (const [type, label] of Object.entries(nameLabels)) {
    const count = summary.names[type] ?? 0;
    if (count > 0) rows.push([label, `${count}`]);
  }
  rows.push(
    ["hard-linked files", `${summary.hardLinked}`],
    ["with xattrs", `${summary.withXattrs}`],
    ["in the image", `${inline.files} files of ${inline.bytes} bytes`],
    ["external", `${external.files} files of ${external.bytes} bytes`],
    ["objects", `${objects.count} of ${objects.bytes} bytes, named by ${summary.algorithm}`],
  );
  if (summary.unverifiable > 0) {
    rows.push(["unverifiable", `${summary.unverifiable} files whose content has no digest`]);
  }
  return tableLines(rows);
}

/** A line for the index, and one for each layer. */
export function seekLines({ digest, size, share, layers }: SeekSummary): string[] {
  const rows = layers.map((layer) => [
    layer.digest,
    layer.compression,
    `${layer.bytes} bytes`,
    counted(layer.objects, "object"),
    layer.seekable ? counted(layer.points, "point") : "only as a whole",
    `${layer.indexBytes} bytes (${percent(layer.indexBytes / Math.max(1, layer.bytes))})`,
  ]);
  return [
    `seek index ${digest}: ${size} bytes, ${percent(share)} of the uncompressed layers`,
    ...tableLines(rows),
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`;
}
