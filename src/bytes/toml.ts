/**
 * TOML files of settings, as values of `json.ts`, so that `json-fields.ts` reads them. Dates are
 * strings.
 *
 * Spec: TOML 1.0.0.
 *
 * @module
 */
import { TomlDate, TomlError, parse } from "smol-toml";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { JsonObject, JsonValue } from "./json.ts";

/** What the parser says of a document that is nested too deeply. */
const TOO_DEEP = "excessively nested";

/** @throws {@link FormatError} `MALFORMED` or `LIMIT`, with the place of what is wrong */
export function parseToml(bytes: Uint8Array, what: string): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // without a byte order mark
  } catch (cause) {
    throw new FormatError("MALFORMED", `${what}: expected TOML in UTF-8`, { cause });
  }
  try {
    return objectOf(parse(text, { maxDepth: limits.jsonDepth }));
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    if (cause.message.includes(TOO_DEEP)) {
      const message = `expected at most ${limits.jsonDepth} levels of nesting, got more`;
      throw new FormatError("LIMIT", `${what}: line ${cause.line}: ${message}`, { cause });
    }
    const reason = cause.message.split("\n", 1)[0];
    throw new FormatError("MALFORMED", `${what}: line ${cause.line}: ${reason}`, { cause });
  }
}

function objectOf(table: object): JsonObject {
  return new Map(Object.entries(table).map(([key, value]) => [key, valueOf(value)]));
}

function valueOf(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(valueOf);
  if (value instanceof TomlDate) return value.toISOString();
  return typeof value === "object" && value !== null ? objectOf(value) : (value as JsonValue);
}
