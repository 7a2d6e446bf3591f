/**
 * Pax records of sparse files, `GNU.sparse.*`, each checked by itself.
 *
 * Spec: docs/profiles.md, "Sparse files"; GNU tar manual, "Storing Sparse Files".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { parseDecimal, parseName } from "./pax-values.ts";

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

/**
 * Adds the record `key` to those that an extended header has given so far.
 *
 * @throws {@link FormatError} naming the record
 */
export function addSparseRecord(
  sparse: PaxSparse | undefined,
  key: ByteString,
  value: ByteString,
): PaxSparse {
  const records: PaxSparse = sparse ?? {
    name: undefined,
    major: undefined,
    minor: undefined,
    realSize: undefined,
    segmentCount: undefined,
    map: undefined,
  };
  apply(records, key, value);
  return records;
}

function apply(sparse: PaxSparse, key: ByteString, value: ByteString): void {
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
