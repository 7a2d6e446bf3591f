/**
 * A summary of an image for people.
 *
 * @module
 */
import type { ImageSummary } from "./inspect-image.ts";

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
    rows.push(["unverifiable", `${summary.unverifiable} files whose content nothing vouches for`]);
  }
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
}
