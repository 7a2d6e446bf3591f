/**
 * `--prefetch`: what is to be read ahead, from the option's value to a list of paths.
 *
 * @module
 */
import { resolve } from "node:path";
import { type ByteString, toByteString } from "../../bytes/bytestring.ts";
import { UsageError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { readRegular } from "../../fs/regular-file.ts";

/** Everything, or the paths in a file. */
export type PrefetchOption = "all" | { readonly list: string };

const LIST = "list:";

/**
 * Reads `all` or `list:FILE`.
 *
 * @throws {@link UsageError} for another value; as {@link readPrefetchList} for a file
 */
export function parsePrefetch(text: string): PrefetchOption {
  if (text === "all") return "all";
  if (!text.startsWith(LIST) || text === LIST) {
    throw new UsageError("USAGE", `--prefetch: expected all or list:FILE, got ${text}`);
  }
  const list = resolve(text.slice(LIST.length));
  readPrefetchList({ list }); // before anything is mounted
  return { list };
}

/**
 * The paths to be read ahead, one in a line; undefined for all.
 *
 * @throws {@link NotFoundError}, {@link FormatError} `LIMIT` or {@link SystemError} for the file
 */
export function readPrefetchList(option: PrefetchOption): readonly ByteString[] | undefined {
  if (option === "all") return undefined;
  const text = toByteString(readRegular(option.list, limits.prefetchListBytes, `list ${option.list}`)); // prettier-ignore
  return text.split("\n").filter((line) => line !== "") as ByteString[];
}
