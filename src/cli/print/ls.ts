/**
 * What `sealfs ls --long` prints.
 *
 * @module
 */
import { printable } from "../../bytes/bytestring.ts";
import type { Image, ImageInode } from "../../erofs/image.ts";
import type { WalkedFile } from "../../erofs/walk.ts";
import { deviceOf, typeOf } from "../../inspect/list-files.ts";
import { type Column, tableRow } from "../terminal/table.ts";

const letters: Readonly<Record<string, string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  character: "c",
  block: "b",
  fifo: "p",
  socket: "s",
};

/** Lines come one after the other, so that widths are not those of all cells. */
const COLUMNS: readonly Column[] = [
  {},
  { width: 3, align: "right", gap: 1 },
  { width: 9, gap: 1 },
  { width: 12, align: "right", gap: 1 },
  { width: 20, align: "right", gap: 1 },
  { gap: 1 },
];

/** One line as `ls -l` prints it, with the whole path. */
export function longLine(image: Image, { path, inode }: WalkedFile): string {
  const type = typeOf(inode);
  const size =
    type === "character" || type === "block"
      ? `${deviceOf(inode).major},${deviceOf(inode).minor}`
      : String(inode.size);
  const arrow = type === "symlink" ? ` -> ${printable(image.target(inode))}` : "";
  const cells = [
    `${letters[type] ?? "?"}${permissions(inode.mode)}`,
    String(inode.nlink),
    `${inode.uid} ${inode.gid}`,
    size,
    timeOf(inode),
    `${path === "" ? "/" : printable(path)}${arrow}`,
  ];
  return tableRow(cells, COLUMNS);
}

/** The nine letters of the permissions, set-id and sticky bits among them. */
function permissions(mode: number): string {
  const letters = Array.from("rwxrwxrwx", (letter, i) => ((mode >> (8 - i)) & 1 ? letter : "-"));
  const special = [
    [0o4000, 2, "s"],
    [0o2000, 5, "s"],
    [0o1000, 8, "t"],
  ] as const;
  for (const [bit, at, letter] of special) {
    if (mode & bit) letters[at] = letters[at] === "x" ? letter : letter.toUpperCase();
  }
  return letters.join("");
}

/** The time to the second in UTC; seconds where a calendar does not reach. */
function timeOf(inode: ImageInode): string {
  const date = new Date(Number(inode.mtimeSeconds) * 1000);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0 || date.getUTCFullYear() > 9999) {
    return String(inode.mtimeSeconds);
  }
  return date.toISOString().replace(".000Z", "Z");
}
