/**
 * The golden images of test/vectors/reader (see the README there).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

/** What the kernel says of one path of a mounted image; texts hold one character per byte. */
export interface KernelEntry {
  readonly p: string;
  readonly mode: string;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  /** Text when it does not fit a double. */
  readonly mtime_ns: number | string;
  readonly size?: number | string;
  readonly target?: string;
  readonly xattrs?: Record<string, string>;
  readonly data_sha256?: string;
  readonly lstat_errno?: number;
  readonly xattr_errno?: number;
  readonly data_errno?: number;
}

export interface GoldenImage {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What `composefs-info dump` prints, one character per byte; null where it crashes. */
  readonly dump: string | null;
  readonly view: readonly KernelEntry[];
}

function unpack(name: string): Buffer {
  return brotliDecompressSync(readFileSync(new URL(`../vectors/reader/${name}`, import.meta.url)));
}

/** Every golden image, each in format versions 0 and 1. */
export function goldenImages(): readonly GoldenImage[] {
  return (cache ??= readGoldenImages());
}

let cache: readonly GoldenImage[] | undefined;

function readGoldenImages(): readonly GoldenImage[] {
  const images = unpack("images.br");
  const rows = JSON.parse(unpack("cases.json.br").toString("utf8")) as (GoldenImage & {
    size: number;
  })[];
  let at = 0;
  return rows.map((row) => {
    const bytes = images.subarray(at, (at += row.size));
    return { ...row, bytes };
  });
}

/** One golden image by its name, such as `hardlink.v1`. */
export function goldenImage(name: string): GoldenImage {
  const found = goldenImages().find((image) => image.name === name);
  if (found === undefined) throw new Error(`no golden image ${name}`);
  return found;
}
