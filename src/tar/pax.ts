/**
 * Records of a pax extended header: `LENGTH KEY=VALUE\n`, where the length counts the whole record.
 *
 * Spec: docs/profiles.md, "Extended headers"; POSIX.1-2017 pax, "pax Extended Header"; star(5) for
 * `SCHILY.xattr.*`.
 *
 * @module
 */
import { type ByteString, ascii, printable, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type PaxSparse, addSparseRecord } from "./pax-sparse.ts";
import { type PaxTime, parseDecimal, parseName, parseTime } from "./pax-values.ts";

/** What the records of one extended header say; undefined where they say nothing. */
export interface PaxRecords {
  path: ByteString | undefined;
  linkPath: ByteString | undefined;
  size: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  mtime: PaxTime | undefined;
  /** From `SCHILY.xattr.*`: full name to value, in archive order. */
  xattrs: Map<ByteString, ByteString> | undefined;
  /** Bytes of all names and values in `xattrs`. */
  xattrBytes: number;
  sparse: PaxSparse | undefined;
}

const XATTR = "SCHILY.xattr.";
const SPARSE = "GNU.sparse.";
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

// Records that change an entry. In a global header GNU tar applies them to every later entry, Go
// and composefs-rs to none.
const PER_ENTRY =
  /^(?:path|linkpath|size|uid|gid|mtime|SCHILY\.(?:xattr\.|realsize).*|GNU\.sparse\..*)$/;

/**
 * The records of the extended header of one entry.
 *
 * @throws {@link FormatError} naming the record
 */
export function parsePax(body: Uint8Array): PaxRecords {
  const records: PaxRecords = {
    path: undefined,
    linkPath: undefined,
    size: undefined,
    uid: undefined,
    gid: undefined,
    mtime: undefined,
    xattrs: undefined,
    xattrBytes: 0,
    sparse: undefined,
  };
  eachRecord(body, (key, value) => applyRecord(records, key, value));
  return records;
}

/**
 * Checks a global extended header, whose records may only be comments.
 *
 * @throws {@link FormatError} `AMBIGUOUS` for a record that would change entries
 */
export function checkGlobalPax(body: Uint8Array): void {
  eachRecord(body, (key) => {
    if (PER_ENTRY.test(key)) {
      throw new FormatError(
        "AMBIGUOUS",
        `pax record "${key}": expected comments only in a global header`,
      );
    }
  });
}

function eachRecord(body: Uint8Array, record: (key: ByteString, value: ByteString) => void): void {
  const seen = new Set<string>();
  for (let at = 0; at < body.length;) {
    let length = 0;
    let i = at;
    for (; i < body.length && i - at < 8; i++) {
      const digit = body[i]! - 0x30;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    const end = at + length;
    const equals = body.indexOf(EQUALS, i + 1);
    // A length does not begin with a zero, and the key has at least one byte.
    const good =
      i > at &&
      body[at] !== 0x30 &&
      body[i] === 0x20 &&
      end <= body.length &&
      body[end - 1] === NEWLINE &&
      equals > i + 1 &&
      equals < end;
    if (!good) {
      const found = printable(toByteString(body, at, Math.min(at + 40, body.length)));
      throw new FormatError(
        "MALFORMED",
        `pax record at byte ${at}: expected "LENGTH KEY=VALUE\\n", got "${found}"`,
      );
    }
    const key = toByteString(body, i + 1, equals);
    if (key.includes("\0")) {
      throw new FormatError("MALFORMED", `pax record "${printable(key)}": NUL in the key`);
    }
    // The later of two records counts (POSIX), but sparse format 0.0 is a list of two of them.
    const listed = key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes";
    if (key.startsWith(SPARSE) && !listed && seen.size === seen.add(key).size) {
      throw new FormatError(
        "AMBIGUOUS",
        `pax record "${printable(key)}": expected once, got twice`,
      );
    }
    record(key, toByteString(body, equals + 1, end - 1));
    at = end;
  }
}

function applyRecord(records: PaxRecords, key: ByteString, value: ByteString): void {
  switch (key) {
    case "path":
      records.path = parseName(key, value);
      return;
    case "linkpath":
      records.linkPath = parseName(key, value);
      return;
    case "size":
      records.size = parseDecimal(key, value, Number.MAX_SAFE_INTEGER);
      return;
    case "uid":
      records.uid = parseDecimal(key, value, 0xffff_ffff);
      return;
    case "gid":
      records.gid = parseDecimal(key, value, 0xffff_ffff);
      return;
    case "mtime":
      records.mtime = parseTime(key, value);
      return;
    case "atime":
    case "ctime":
      parseTime(key, value); // of no use here, but some tools refuse others
      return;
    case "uname":
    case "gname":
      parseName(key, value);
      return;
    case "SCHILY.realsize":
      throw new FormatError("UNSUPPORTED", `pax record "${key}": star's sparse files are not read`);
    default:
      if (key.startsWith(XATTR)) addXattr(records, ascii(key.slice(XATTR.length)), value);
      else if (key.startsWith(SPARSE)) records.sparse = addSparseRecord(records.sparse, key, value);
    // Anything else (comments, others' attributes) changes nothing here.
  }
}

function addXattr(records: PaxRecords, name: ByteString, value: ByteString): void {
  const shown = `pax record "${XATTR}${printable(name).slice(0, 300)}"`;
  if (name === "") throw new FormatError("MALFORMED", `${shown}: expected a name after the prefix`);
  if (name.length > limits.xattrNameBytes) {
    throw new FormatError(
      "LIMIT",
      `${shown}: expected a name of at most ${limits.xattrNameBytes} bytes, got ${name.length}`,
    );
  }
  if (value.length > limits.xattrValueBytes) {
    throw new FormatError(
      "LIMIT",
      `${shown}: expected a value of at most ${limits.xattrValueBytes} bytes, got ${value.length}`,
    );
  }
  records.xattrs ??= new Map();
  const before = records.xattrs.get(name);
  if (before !== undefined) records.xattrBytes -= name.length + before.length;
  records.xattrs.set(name, value);
  records.xattrBytes += name.length + value.length;
  if (records.xattrBytes > limits.xattrInodeBytes) {
    throw new FormatError(
      "LIMIT",
      `${shown}: expected at most ${limits.xattrInodeBytes} bytes of xattrs, got more`,
    );
  }
}
