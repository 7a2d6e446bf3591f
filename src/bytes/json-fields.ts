/**
 * Typed access to the fields of a parsed JSON document: a format asks for each field by name and
 * type, and a wrong type is an error that says where.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import {
  type JsonArray,
  type JsonObject,
  type JsonValue,
  givenTwice,
  repeatedNames,
} from "./json.ts";

/** @throws {@link FormatError} `MALFORMED` when `value` is not an object */
export function asObject(value: JsonValue | undefined, what: string): JsonObject {
  if (value instanceof Map) return value;
  throw wrongType(what, "an object", value);
}

/** @throws {@link FormatError} `MALFORMED` when `value` is not an array */
export function asArray(value: JsonValue | undefined, what: string): JsonArray {
  if (Array.isArray(value)) return value;
  throw wrongType(what, "an array", value);
}

/** @throws {@link FormatError} `MALFORMED` when `value` is not a string */
export function asString(value: JsonValue | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw wrongType(what, "a string", value);
}

/** @throws {@link FormatError} `MALFORMED` when `value` is not an integer from 0 to 2^53 - 1 */
export function asSize(value: JsonValue | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongType(what, "a non-negative integer", value);
}

/**
 * The string under `name`, or undefined when there is none (or null, which Go's encoders write for
 * what is not set).
 */
export function optionalString(object: JsonObject, name: string, what: string): string | undefined {
  const value = object.get(name);
  return value === undefined || value === null ? undefined : asString(value, `${what}: ${name}`);
}

/** The strings of an object whose values are all strings, such as annotations; none when absent. */
export function stringMap(value: JsonValue | undefined, what: string): ReadonlyMap<string, string> {
  const strings = new Map<string, string>();
  if (value === undefined || value === null) return strings;
  for (const [name, entry] of asObject(value, what)) {
    strings.set(name, asString(entry, `${what}: ${JSON.stringify(name)}`));
  }
  return strings;
}

/**
 * Refuses an object of a document that was read laxly when it gives one of `names` twice.
 *
 * @throws {@link FormatError} `AMBIGUOUS`
 */
export function verifyOnce(object: JsonObject, names: Iterable<string>, what: string): void {
  const twice = repeatedNames(object);
  for (const name of twice.size > 0 ? names : []) {
    if (twice.has(name)) throw givenTwice(name, what);
  }
}

function wrongType(what: string, wanted: string, value: JsonValue | undefined): FormatError {
  return new FormatError("MALFORMED", `${what}: expected ${wanted}, got ${typeName(value)}`);
}

function typeName(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Map) return "an object";
  return typeof value === "string" ? "a string" : JSON.stringify(value);
}
