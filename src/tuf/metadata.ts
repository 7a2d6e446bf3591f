/**
 * Checks TUF metadata before tuf-js reads it: it has to be strict JSON of bounded size, and no role
 * may count one key twice under two ids.
 *
 * Spec: TUF 1.0.34, section 4; go-tuf GHSA-3633-5h82-39pq (one key under two ids).
 *
 * @module
 */
import { asObject } from "../bytes/json-fields.ts";
import { type JsonObject, type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError, TrustError } from "../errors.ts";
import { limits } from "../limits.ts";

/** @throws {@link TrustError} `BAD_TUF` */
export function checkMetadata(bytes: Uint8Array, what: string): void {
  try {
    const document = parseJson(bytes, { maxBytes: limits.tufMetadataBytes, what });
    const signed = asObject(asObject(document, what).get("signed"), `${what}: signed`);
    refuseTwins(signed.get("keys"), rolesIn(signed.get("roles")), what);
    const delegations = signed.get("delegations");
    if (delegations instanceof Map) {
      refuseTwins(delegations.get("keys"), rolesIn(delegations.get("roles")), what);
    }
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new TrustError("BAD_TUF", cause.message, { cause });
  }
}

/** Root has an object of roles, delegations a list. */
function rolesIn(value: JsonValue | undefined): JsonObject[] {
  const all = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : [];
  return all.filter((role) => role instanceof Map);
}

/** A threshold counts keys: one key under two ids must not make two. */
function refuseTwins(
  keys: JsonValue | undefined,
  roles: readonly JsonObject[],
  what: string,
): void {
  if (!(keys instanceof Map)) return;
  for (const role of roles) {
    const ids = role.get("keyids");
    if (!Array.isArray(ids) || role.get("threshold") === 1) continue;
    const seen = new Set<string>();
    for (const id of ids) {
      const key = typeof id === "string" ? publicPart(keys.get(id)) : undefined;
      if (key === undefined) continue;
      if (seen.has(key)) {
        throw new TrustError("BAD_TUF", `${what}: a role has one key under two ids`);
      }
      seen.add(key);
    }
  }
}

function publicPart(key: JsonValue | undefined): string | undefined {
  const value = key instanceof Map ? key.get("keyval") : undefined;
  const text = value instanceof Map ? value.get("public") : undefined;
  return typeof text === "string" ? text.trim() : undefined;
}
