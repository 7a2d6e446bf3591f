/**
 * One member of an archive: its header together with the extended headers before it.
 *
 * Spec: docs/profiles.md, "Entry types".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { TarEntry, TarEntryType } from "./entry.ts";
import {
  BLOCK_SIZE,
  checkDevice,
  checkGnuFields,
  checkNumbers,
  checkPrefix,
  deviceOf,
  formatOf,
  gidOf,
  hasSlash,
  linkOf,
  modeOf,
  mtimeOf,
  nameOf,
  sizeOf,
  typeFlagOf,
  uidOf,
} from "./header.ts";
import type { MetaHeaders } from "./meta.ts";
import type { TarOptions } from "./tar-options.ts";
import { type SparseMap, checkSparseMap, sparseVersion } from "./sparse.ts";

/** An entry, and how its content is stored. */
export interface Member {
  readonly entry: TarEntry;
  /** Bytes after the header, without padding. */
  readonly storedSize: number;
  /** The map of a sparse file; `"content"` when it stands in front of the content. */
  readonly sparse: SparseMap | "content" | undefined;
}

const types: ReadonlyMap<number, TarEntryType> = new Map([
  [0x00, "file"], // Unix v7
  [0x30, "file"],
  [0x31, "hardlink"],
  [0x32, "symlink"],
  [0x33, "character"],
  [0x34, "block"],
  [0x35, "directory"],
  [0x36, "fifo"],
  [0x37, "file"], // contiguous
]);

const refusedTypes: ReadonlyMap<number, string> = new Map([
  [0x53, "an old GNU sparse file"],
  [0x4d, "a GNU continuation from another volume"],
  [0x44, "a GNU incremental directory"],
  [0x56, "a GNU volume label"],
  [0x4e, "an old GNU long name"],
  [0x58, "a Solaris extended header"],
]);

const noXattrs: ReadonlyMap<ByteString, ByteString> = new Map();

// Sizes from here on do not fit the 11 octal digits of a header.
const HEADER_SIZE_END = 0o100000000000;

/**
 * Decodes the header at `at`, whose checksum has been verified.
 *
 * @throws {@link FormatError} naming the field, not the entry
 */
export function decodeMember(
  bytes: Uint8Array,
  at: number,
  meta: MetaHeaders,
  headerOffset: number,
  options: TarOptions,
): Member {
  const format = formatOf(bytes, at);
  const pax = meta.pax;
  const sparse = pax?.sparse;
  if ((pax?.path ?? sparse?.name) !== undefined && meta.longName !== undefined) throw twice("name");
  if (pax?.linkPath !== undefined && meta.longLink !== undefined) throw twice("link name");
  const longName = sparse?.name ?? pax?.path ?? meta.longName;
  checkPrefix(bytes, at, format, longName === undefined);
  const path = longName ?? nameOf(bytes, at, format);
  if (path === "") throw new FormatError("MALFORMED", "name: expected a name, got none");

  const flag = typeFlagOf(bytes, at);
  let type = types.get(flag);
  if (type === undefined) throw unsupportedType(flag);
  // Before directories had a type, a slash at the end of the name marked them.
  if (flag === 0) type = typeBySlash(path, hasSlash(bytes, at));

  if (type !== "file" && sparse !== undefined) {
    throw new FormatError("AMBIGUOUS", `size: expected 0 for a ${type}, got a sparse file`);
  }
  const headerSize = sizeOf(bytes, at);
  const storedSize =
    type === "file"
      ? contentSize(headerSize, pax?.size, options)
      : noContent(type, headerSize, meta);
  if (type === "file" && format === "gnu") checkGnuFields(bytes, at);
  const isDevice = type === "character" || type === "block";
  if (isDevice && format === "v7") {
    throw new FormatError("AMBIGUOUS", `${type} device: expected a ustar or GNU header, got v7's`);
  }
  if (!isDevice) checkDevice(bytes, at);
  if (pax !== undefined) checkNumbers(bytes, at, 0xffff_ffff); // it may say them itself
  let size = storedSize;
  let map: Member["sparse"];
  if (sparse !== undefined) {
    map = sparseVersion(sparse) === "1.0" ? "content" : (sparse.map ?? []);
    size = sparse.realSize!;
    if (map !== "content") checkSparseMap(map, size, storedSize);
  }
  const entry: TarEntry = {
    type,
    path,
    linkPath: type === "symlink" || type === "hardlink" ? decodeLink(bytes, at, meta) : noLink,
    mode: modeOf(bytes, at),
    uid: pax?.uid ?? uidOf(bytes, at),
    gid: pax?.gid ?? gidOf(bytes, at),
    size,
    mtimeSeconds: pax?.mtime?.seconds ?? mtimeOf(bytes, at),
    mtimeNanoseconds: pax?.mtime?.nanoseconds ?? 0,
    rdev: isDevice ? deviceOf(bytes, at) : 0,
    xattrs: pax?.xattrs ?? noXattrs,
    headerOffset,
    dataOffset: headerOffset + BLOCK_SIZE,
    sizeIgnored: type !== "file" && headerSize !== 0,
    segments: map === "content" ? [] : map, // a map in the content is still to come
  };
  return { entry, storedSize, sparse: map };
}

// Python looks at the name in the header, others at the one that counts.
function typeBySlash(path: ByteString, headerHasSlash: boolean): "directory" | "file" {
  if (/^\/+$/.test(path)) {
    // GNU tar makes a file of it.
    throw new FormatError("AMBIGUOUS", 'name: expected more than "/" in a header without a type');
  }
  const hasSlashes = path.endsWith("/");
  if (hasSlashes === headerHasSlash) return hasSlashes ? "directory" : "file";
  throw new FormatError(
    "AMBIGUOUS",
    'name: expected a "/" at the end in both the header and the extended header, or in none',
  );
}

const noLink = "" as ByteString;

function decodeLink(bytes: Uint8Array, at: number, meta: MetaHeaders): ByteString {
  const link = meta.pax?.linkPath ?? meta.longLink ?? linkOf(bytes, at);
  if (link === "") throw new FormatError("MALFORMED", "link name: expected a name, got none");
  if (link.length > limits.pathBytes) {
    throw new FormatError(
      "LIMIT",
      `link name: expected at most ${limits.pathBytes} bytes, got ${link.length}`,
    );
  }
  return link;
}

// The pax size wins for reading and for skipping (CVE-2025-62518 was about two that differ).
function contentSize(headerSize: number, paxSize: number | undefined, options: TarOptions): number {
  if (paxSize === undefined || paxSize === headerSize) return headerSize;
  if (paxSize < HEADER_SIZE_END) {
    const message = `size: the pax header says ${paxSize}, the header ${headerSize}`;
    if (options.strict === true) throw new FormatError("AMBIGUOUS", message);
    options.warn?.(`${message}; taking the pax header's`);
  }
  return paxSize;
}

// Writers put sizes of their own (of a target, of a directory) into headers without content, and
// readers take no notice. Bsdtar does where a pax header says it, and for hard links in pax archives.
function noContent(type: TarEntryType, headerSize: number, meta: MetaHeaders): 0 {
  const paxSize = meta.pax?.size;
  const counts = paxSize ?? (type === "hardlink" && meta.archiveHasPax ? headerSize : 0);
  if (counts === 0) return 0;
  throw new FormatError(
    "AMBIGUOUS",
    `size: expected 0 for a ${type} ${paxSize === undefined ? "in a pax archive" : "in a pax header"}, ` +
      `got ${counts}`,
  );
}

function twice(what: string): FormatError {
  return new FormatError(
    "AMBIGUOUS",
    `${what}: expected one, got one in a pax header and one in a GNU long name`,
  );
}

function unsupportedType(flag: number): FormatError {
  const char = printable(String.fromCharCode(flag) as ByteString);
  const known = refusedTypes.get(flag);
  return new FormatError(
    "UNSUPPORTED",
    `type: expected a file, directory, link or device, got "${char}"` +
      (known === undefined ? "" : ` (${known})`),
    flag === 0x53
      ? { hint: "write the layer with GNU tar --format=posix, or without --sparse" }
      : {},
  );
}
