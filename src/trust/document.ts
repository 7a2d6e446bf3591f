/**
 * Reads signed JSON documents. Beyond what the strict JSON parser refuses, this refuses member
 * names that are special in JavaScript (`__proto__`) and numbers that are not plain integers. Every
 * refusal is a `TrustError` with the code of the step that reads the document.
 *
 * Spec: docs/statement.md, "JSON documents".
 *
 * @module
 */
import { asObject } from "../bytes/json-fields.ts";
import { type JsonObject, type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError, TrustError } from "../errors.ts";
import { limits } from "../limits.ts";

/** The code of the step that reads a document. */
export type DocumentCode = "BAD_BUNDLE" | "BAD_STATEMENT" | "BAD_POLICY" | "BAD_STATE";

const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Parses a document, which has to be a JSON object.
 *
 * @throws {@link TrustError} with `code`, and the `FormatError` as its cause
 */
export function parseDocument(bytes: Uint8Array, what: string, code: DocumentCode): JsonObject {
  return refusing(code, () => {
    const value = parseJson(bytes, {
      maxBytes: limits.envelopeBytes,
      maxDepth: limits.jsonDepth,
      plainIntegers: true,
      what,
    });
    refuseForbiddenNames(value, what);
    return asObject(value, what);
  });
}

/** Runs `read`, turning its `FormatError` into a `TrustError` with `code`. */
export function refusing<T>(code: DocumentCode, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new TrustError(code, error.message, { cause: error });
  }
}

// The reader has capped the depth.
function refuseForbiddenNames(value: JsonValue, what: string): void {
  if (Array.isArray(value)) {
    for (const entry of value) refuseForbiddenNames(entry, what);
  } else if (value instanceof Map) {
    for (const [name, entry] of value as JsonObject) {
      if (FORBIDDEN_NAMES.has(name)) {
        throw new FormatError("MALFORMED", `${what}: name ${JSON.stringify(name)} is not allowed`);
      }
      refuseForbiddenNames(entry, what);
    }
  }
}
