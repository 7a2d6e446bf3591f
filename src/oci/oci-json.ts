/**
 * The JSON of manifests, indexes and configurations: tools of every age wrote it, and we use few of
 * its fields. What is odd in the others does not matter; what is used has to be beyond doubt.
 *
 * @module
 */
import { verifyOnce } from "../bytes/json-fields.ts";
import { type JsonObject, type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";

/**
 * A document of an OCI image.
 *
 * @throws {@link FormatError} as {@link parseJson}; names given twice only by {@link verifyNames}
 */
export function parseOciJson(bytes: Uint8Array, what: string): JsonValue {
  return parseJson(bytes, { what, maxBytes: limits.manifestBytes, lax: true });
}

/**
 * Refuses names that are given twice, or differ from known ones only in case: Go's decoder, which
 * most tools use, takes `Layers` for `layers`, so they would see another document than we do.
 *
 * @throws {@link FormatError} `AMBIGUOUS`
 */
export function verifyNames(object: JsonObject, known: readonly string[], what: string): void {
  verifyOnce(object, known, what);
  const exact = new Map(known.map((name) => [name.toLowerCase(), name]));
  for (const name of object.keys()) {
    const meant = exact.get(name.toLowerCase());
    if (meant !== undefined && meant !== name) {
      throw new FormatError("AMBIGUOUS", `${what}: expected ${meant}, got ${JSON.stringify(name)}`);
    }
  }
}
