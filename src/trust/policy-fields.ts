/**
 * Reading the fields of a policy file, each refusal with the code `BAD_POLICY`.
 *
 * @module
 */
import { asArray, asSize, asString } from "../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../bytes/json.ts";
import { TrustError } from "../errors.ts";
import { parseDuration } from "./duration.ts";
import { parseTime } from "./time.ts";

/** An integer of at least 1. */
export function positive(value: JsonValue | undefined, what: string): number {
  const number = asSize(value, what);
  if (number >= 1) return number;
  throw refused(`${what}: expected at least 1, got ${number}`);
}

/** A time; undefined when the field is absent. */
export function optionalTime(object: JsonObject, name: string, what: string): Date | undefined {
  if (!object.has(name)) return undefined;
  const text = asString(object.get(name), `${what}: ${name}`);
  const time = parseTime(text);
  if (time !== undefined) return time;
  const got = JSON.stringify(text.slice(0, 100));
  throw refused(`${what}: ${name}: expected a time such as 2026-09-01T00:00:00Z, got ${got}`);
}

/** Seconds of a length of time; undefined when the field is absent. */
export function optionalDuration(
  object: JsonObject,
  name: string,
  what: string,
): number | undefined {
  if (!object.has(name)) return undefined;
  const text = asString(object.get(name), `${what}: ${name}`);
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  const got = JSON.stringify(text.slice(0, 100));
  throw refused(`${what}: ${name}: expected a length of time such as 90d or 36h, got ${got}`);
}

/** An array; empty when absent. */
export function list(
  object: JsonObject,
  name: string,
  max: number,
  what: string,
): readonly JsonValue[] {
  if (!object.has(name)) return [];
  const values = asArray(object.get(name), `${what}: ${name}`);
  if (values.length <= max) return values;
  throw refused(`${what}: ${name}: expected at most ${max}, got ${values.length}`);
}

/** Refuses fields that are not known. */
export function onlyFields(object: JsonObject, known: readonly string[], what: string): void {
  for (const name of object.keys()) {
    if (known.includes(name)) continue;
    const shown = JSON.stringify(name.slice(0, 100));
    throw new TrustError("BAD_POLICY", `${what}: unknown field ${shown}`, {
      hint: "a field that is not understood could be a restriction; a newer sealfs may know it",
    });
  }
}

/** Refuses a list in which a value occurs twice. */
export function refuseTwice(values: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const value of values) {
    if (seen.has(value)) throw refused(`${what}: ${JSON.stringify(value)} given twice`);
    seen.add(value);
  }
}

/** The refusal of a policy. */
export function refused(message: string): TrustError {
  return new TrustError("BAD_POLICY", message);
}
