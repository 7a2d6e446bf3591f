/**
 * Archives that a reference names: opened where they lie, or, when they are compressed, by way of a
 * decompressed copy.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import { limits } from "../../limits.ts";
import { type BlobRange, type FileRange, openNamed } from "../blob.ts";
import { SNIFF_BYTES, type Sniffed, sniff } from "../codec/sniff.ts";
import { ArchiveFiles } from "./archive.ts";
import { copyByTool, hasTool } from "./decompress-tool.ts";
import { type DecompressOptions, decompressedCopy } from "./decompressed.ts";
import { openGiven } from "./given-file.ts";

/**
 * Opens an archive, compressed or not.
 *
 * @param whole as of {@link openGiven}
 * @throws {@link FormatError} `UNSUPPORTED` for a compression that only other tools know, and when
 *   it is no tar archive that we accept; {@link NotFoundError} `NO_FILE`; {@link SystemError}
 */
export async function openArchive(
  path: string,
  options?: DecompressOptions,
  whole?: string,
): Promise<ArchiveFiles> {
  const file = await openGiven(path, options?.signal, whole);
  return ArchiveFiles.open(await decompress(file, path, options), path);
}

/** The same for archives that are read in parts, so that a copy would be no use. */
export function openArchiveInPlace(path: string): ArchiveFiles {
  const range = openNamed(path);
  const found = sniff(headOf(range));
  if (found === "none") return ArchiveFiles.open(range, path);
  range.close();
  throw new FormatError("UNSUPPORTED", `${path}: a ${found} archive cannot be read in place`, {
    hint: `decompress it first: ${found} -dc ${path} > OTHER.tar`,
  });
}

/** What `range` holds when it is no longer compressed; owns `range`, also when it fails. */
async function decompress(
  range: BlobRange,
  path: string,
  options: DecompressOptions | undefined,
): Promise<BlobRange> {
  let current = range;
  try {
    for (let times = 0; ; times++) {
      const found = sniff(headOf(current));
      if (found === "none") return current;
      verifyTimes(times, path);
      const copy = await plainCopy(current, found, path, { ...options, path });
      current.close();
      current = copy;
    }
  } catch (error) {
    current.close();
    throw error;
  }
}

/**
 * A copy that is decompressed once, by us or by a program that is installed.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for what neither can decompress; otherwise as
 *   {@link decompressedCopy}
 */
export async function plainCopy(
  range: FileRange,
  compression: Sniffed,
  label: string,
  options: DecompressOptions & { readonly path?: string | undefined },
): Promise<BlobRange> {
  const copy = hasTool(compression)
    ? await copyByTool(range, compression, label, options)
    : undefined;
  if (copy !== undefined) return copy;
  verifyCompression(compression, label, options.path);
  return decompressedCopy(range, label, options);
}

/** The first bytes of a file, as many as {@link sniff} wants. */
export function headOf(range: FileRange): Uint8Array {
  const head = new Uint8Array(Math.min(SNIFF_BYTES, range.size));
  return head.subarray(0, readFully(range.fd, head, range.offset));
}

/** Commands that are not named as what they decompress. */
const tools: ReadonlyMap<Sniffed, string> = new Map([
  ["lzma", "xz"],
  ["compress", "gzip"],
]);

/** @throws {@link FormatError} `UNSUPPORTED` for what only other tools decompress */
export function verifyCompression(found: Sniffed, label: string, path?: string): void {
  if (found === "gzip" || found === "zstd") return;
  const input = path === undefined ? "" : ` ${path}`;
  const tool = tools.get(found) ?? found;
  throw new FormatError("UNSUPPORTED", `${label}: ${found} compression is not supported`, {
    hint: `decompress it first: ${tool} -dc${input} | sealfs build - …`,
  });
}

/** @throws {@link FormatError} `LIMIT` for an archive that has been decompressed `times` before */
export function verifyTimes(times: number, label: string): void {
  if (times < limits.archiveCompressions) return;
  const message = `${label}: expected it compressed at most ${limits.archiveCompressions} times, got more`;
  throw new FormatError("LIMIT", message, { hint: "decompress it first" });
}
