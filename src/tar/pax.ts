/**
 * Records of a pax extended header: `LENGTH KEY=VALUE\n`, where the length counts the whole record.
 * Spec: POSIX.1-2017 pax, "pax Extended Header"; star(5) for `SCHILY.xattr.*`; GNU tar manual,
 * "Storing Sparse Files" for `GNU.sparse.*`.
 *
 * @module
 */
import { type ByteString, ascii, printable, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { checkSeconds } from "./number.ts";

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

export interface PaxTime {
  /** Rounded down. */
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** `GNU.sparse.*`, before it is known which version of the format they make. */
export interface PaxSparse {
  name: ByteString | undefined;
  /** `major.minor`; undefined in versions 0.0 and 0.1, which do not state theirs. */
  major: number | undefined;
  minor: number | undefined;
  realSize: number | undefined;
  segmentCount: number | undefined;
  /** Versions 0.0 and 0.1: offset and length of each stored segment, alternately. */
  map: number[] | undefined;
}

const XATTR = "SCHILY.xattr.";
const SPARSE = "GNU.sparse.";
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

// What would change an entry if it stood in a global header: GNU tar applies these to every later
// entry, Go and composefs-rs to none.
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
    // A leading zero, or none but a zero, is no length; the key has a byte at least.
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
    // Sparse format 0.0 is a list of these two.
    const listed = key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes";
    if (!listed && seen.size === seen.add(key).size) {
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
    case "SCHILY.realsize":
      throw new FormatError("UNSUPPORTED", `pax record "${key}": star's sparse files are not read`);
    default:
      if (key.startsWith(XATTR)) addXattr(records, ascii(key.slice(XATTR.length)), value);
      else if (key.startsWith(SPARSE)) addSparse(records, key, value);
    // Anything else (times of access, user names, comments) changes nothing here.
  }
}

// An empty value would delete the record (POSIX), be ignored (Go) or be the name (Python).
function parseName(key: string, value: ByteString): ByteString {
  if (value === "" || value.includes("\0")) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected a name without NUL, got "${printable(value)}"`,
    );
  }
  return value;
}

function parseDecimal(key: string, value: string, max: number): number {
  if (!/^(?:0|[1-9][0-9]{0,19})$/.test(value)) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected a decimal number, got "${printable(ascii(value))}"`,
    );
  }
  if (Number(value) > max) {
    throw new FormatError(
      "OUT_OF_RANGE",
      `pax record "${key}": expected 0 to ${max}, got ${value}`,
    );
  }
  return Number(value);
}

/** Decimal seconds; digits beyond nanoseconds are cut off. */
function parseTime(key: string, value: ByteString): PaxTime {
  const match = /^(-?)([0-9]{1,20})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) {
    throw new FormatError(
      "MALFORMED",
      `pax record "${key}": expected decimal seconds, got "${printable(value)}"`,
    );
  }
  const [, minus, whole, fraction = ""] = match;
  let seconds = BigInt(whole!);
  let nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (minus === "-") {
    seconds = -seconds;
    if (nanoseconds > 0) {
      seconds -= 1n;
      nanoseconds = 1_000_000_000 - nanoseconds;
    }
  }
  return { seconds: checkSeconds(seconds, `pax record "${key}"`), nanoseconds };
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
  records.xattrs.set(name, value);
  records.xattrBytes += name.length + value.length;
  if (records.xattrBytes > limits.xattrInodeBytes) {
    throw new FormatError(
      "LIMIT",
      `${shown}: expected at most ${limits.xattrInodeBytes} bytes of xattrs, got more`,
    );
  }
}

function addSparse(records: PaxRecords, key: ByteString, value: ByteString): void {
  records.sparse ??= {
    name: undefined,
    major: undefined,
    minor: undefined,
    realSize: undefined,
    segmentCount: undefined,
    map: undefined,
  };
  const sparse = records.sparse;
  switch (key) {
    case "GNU.sparse.name":
      sparse.name = parseName(key, value);
      return;
    case "GNU.sparse.major":
      sparse.major = parseDecimal(key, value, 99);
      return;
    case "GNU.sparse.minor":
      sparse.minor = parseDecimal(key, value, 99);
      return;
    case "GNU.sparse.size": // versions 0.0 and 0.1
    case "GNU.sparse.realsize": // version 1.0
      if (sparse.realSize !== undefined) {
        throw new FormatError("AMBIGUOUS", `pax record "${key}": expected one size, got two`);
      }
      sparse.realSize = parseDecimal(key, value, Number.MAX_SAFE_INTEGER);
      return;
    case "GNU.sparse.numblocks":
      sparse.segmentCount = parseDecimal(key, value, Number.MAX_SAFE_INTEGER);
      if (sparse.segmentCount > limits.sparseSegments) {
        throw new FormatError(
          "LIMIT",
          `pax record "${key}": expected at most ${limits.sparseSegments}, got ${value}`,
        );
      }
      return;
    case "GNU.sparse.map":
      if (sparse.map !== undefined) {
        throw new FormatError("AMBIGUOUS", `pax record "${key}": expected one map, got two`);
      }
      if (value.length > 0) {
        // The number of segments is checked against the limit before the numbers are made.
        const numbers = value.split(",", 2 * limits.sparseSegments + 1);
        sparse.map = numbers.map((text) => parseDecimal(key, text, Number.MAX_SAFE_INTEGER));
      } else sparse.map = [];
      checkMapLength(key, sparse.map);
      return;
    case "GNU.sparse.offset":
    case "GNU.sparse.numbytes": {
      const map = (sparse.map ??= []);
      if ((map.length % 2 === 0) !== (key === "GNU.sparse.offset")) {
        throw new FormatError(
          "MALFORMED",
          `pax record "${key}": expected offset and length in turn`,
        );
      }
      map.push(parseDecimal(key, value, Number.MAX_SAFE_INTEGER));
      checkMapLength(key, map);
      return;
    }
    default:
      throw new FormatError("UNSUPPORTED", `pax record "${printable(key)}": unknown sparse record`);
  }
}

function checkMapLength(key: string, map: readonly number[]): void {
  if (map.length > 2 * limits.sparseSegments) {
    throw new FormatError(
      "LIMIT",
      `pax record "${key}": expected at most ${limits.sparseSegments} segments, got more`,
    );
  }
}
