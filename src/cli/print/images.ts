/**
 * Images of a store, and the versions that names have had, for people and for programs.
 *
 * @module
 */
import { formatPlatform } from "../../platform/platform.ts";
import type { HistoryEntry } from "../../store/history.ts";
import type { ListedImage } from "../../store/listing.ts";
import { formatTime } from "../../trust/time.ts";
import {
  SHORT_DIGITS,
  type VerityAlgorithm,
  type VerityDigest,
  shortDigest,
} from "../../verity/verity-digest.ts";
import { type Column, tableLines, tableRow } from "../terminal/table.ts";
import { formatBytes } from "../terminal/units.ts";

/** Characters of a key id that are enough to tell keys apart: `SHA256:` and 12 more. */
const SHORT_KEY = 19;
const ID_LENGTH: Readonly<Record<VerityAlgorithm, number>> = { sha256: 64, sha512: 128 };

export function idText(id: VerityDigest, isWhole: boolean): string {
  return isWhole ? id : shortDigest(id);
}

/** Rows of a table come one after the other, so that widths are not those of all cells. */
export function imageColumns(algorithm: VerityAlgorithm, isWhole: boolean): Column[] {
  return [
    { width: isWhole ? ID_LENGTH[algorithm] : SHORT_DIGITS },
    { width: 10, align: "right" },
    { width: 7, align: "right" },
    { width: 6, align: "right" },
    { width: 13 },
  ];
}

export const IMAGE_TITLES = ["IMAGE ID", "SIZE", "OBJECTS", "SIGNED", "PLATFORM", "NAMES"];

export function imageLine(
  image: ListedImage,
  isWhole: boolean,
  columns: readonly Column[],
): string {
  const { id, names, platforms, contents, problem, bundles } = image;
  const row = tableRow(
    [
      idText(id, isWhole),
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

export function imageDocument(image: ListedImage): object {
  const { id, names, platforms, contents, problem, bundles } = image;
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

const VERSION_TITLES = [
  "VERSION",
  "NOW",
  "CREATED",
  "EXPIRES",
  "IMAGE ID",
  "PLATFORM",
  "NAME",
  "SIGNED BY",
];

export function versionLines(entries: readonly HistoryEntry[], isWhole: boolean): string[] {
  const rows = entries.map(
    ({ version, isCurrent, created, expires, id, platform, name, keyIds }) => [
      String(version),
      isCurrent ? "*" : "",
      formatTime(created),
      formatTime(expires),
      idText(id, isWhole),
      platform === undefined ? "-" : formatPlatform(platform),
      name,
      keyIds.map((keyId) => (isWhole ? keyId : keyId.slice(0, SHORT_KEY))).join(","),
    ],
  );
  return tableLines([VERSION_TITLES, ...rows]);
}

export function versionDocument({ platform, created, expires, ...entry }: HistoryEntry): object {
  return {
    ...entry,
    platform: platform && formatPlatform(platform),
    created: formatTime(created),
    expires: formatTime(expires),
  };
}
