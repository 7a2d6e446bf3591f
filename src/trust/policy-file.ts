/**
 * The policy as a file: JSON, read strictly. Any field may be a restriction, so an unknown one
 * refuses the whole file. Its schema is `keys/trust-policy.schema.json`.
 *
 * ```json
 * {"type":"https://sealfs.dev/policy/v1","name":"example.com","version":3,
 *  "expires":"2027-09-01T00:00:00Z","epoch":0,"maxAge":"90d","maxValidity":"1y",
 *  "keys":[{"id":"SHA256:…","pem":"-----BEGIN PUBLIC KEY-----\n…","comment":"build server",
 *           "names":["registry.example/**"],
 *           "notBefore":"2026-01-01T00:00:00Z","notAfter":"2028-01-01T00:00:00Z"}],
 *  "threshold":1,"thresholds":[{"names":"registry.example/prod/**","threshold":2}],
 *  "policyKeys":{"ids":["SHA256:…"],"threshold":1},
 *  "revoked":[{"key":"SHA256:…","reason":"laptop stolen","since":"2026-05-01T00:00:00Z"},
 *             {"digest":"ab12…","reason":"CVE-2026-1234"}]}
 * ```
 *
 * Needed are `type`, `name`, `version`, `keys` and `policyKeys`. `comment` and `$schema` are for
 * people and editors. A revoked key may stay among `keys`, and should, so that its signatures are
 * refused for the right reason.
 *
 * Spec: docs/policy.md, "Policy file".
 *
 * @module
 */
import { asArray, asObject, asSize, asString, optionalString } from "../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../bytes/json.ts";
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { parseDocument, refusing } from "./document.ts";
import { formatDuration } from "./duration.ts";
import { Keyring } from "./keyring.ts";
import { NamePattern } from "./name-pattern.ts";
import {
  type Authority,
  type NameThreshold,
  type PolicyContent,
  type PolicyKey,
  type Revocation,
  TrustPolicy,
} from "./policy.ts";
import {
  list,
  onlyFields,
  optionalDuration,
  optionalTime,
  positive,
  refuseTwice,
  refused,
} from "./policy-fields.ts";
import { parsePublicKey } from "./public-key.ts";
import { formatTime } from "./time.ts";

/** `type` of every policy file of this version of the format. */
const POLICY_TYPE = "https://sealfs.dev/policy/v1";

/** Fields of the objects of a policy file; all others are refused. */
export const policyFields = {
  policy: [
    "$schema",
    "type",
    "comment",
    "name",
    "version",
    "expires",
    "epoch",
    "maxAge",
    "maxValidity",
    "keys",
    "threshold",
    "thresholds",
    "policyKeys",
    "revoked",
  ],
  key: ["id", "pem", "comment", "names", "notBefore", "notAfter"],
  threshold: ["names", "threshold"],
  policyKeys: ["ids", "threshold"],
  revocation: ["key", "digest", "reason", "since"],
} as const;

/**
 * The policy in the bytes of an unsigned policy file.
 *
 * @throws {@link TrustError} `BAD_POLICY`, naming `what`
 */
export function parsePolicy(bytes: Uint8Array, what = "policy"): TrustPolicy {
  const object = parseDocument(bytes, what, "BAD_POLICY");
  return refusing("BAD_POLICY", () => {
    const type = object.get("type");
    if (type !== POLICY_TYPE) {
      const got = (JSON.stringify(type instanceof Map ? {} : type) ?? "nothing").slice(0, 100);
      throw refused(`${what}: expected type ${POLICY_TYPE}, got ${got}`);
    }
    onlyFields(object, policyFields.policy, what);
    const keys = list(object, "keys", limits.keys, what).map((value, i) =>
      readKey(value, `${what}: key ${i}`),
    );
    const keyring = refusingKeys(what, () => new Keyring(keys.map(({ key }) => key)));
    const content: PolicyContent = {
      comment: optionalString(object, "comment", what),
      name: readPolicyName(object, what),
      version: positive(object.get("version"), `${what}: version`),
      expires: optionalTime(object, "expires", what),
      epoch: object.has("epoch") ? asSize(object.get("epoch"), `${what}: epoch`) : 0,
      threshold: object.has("threshold") ? readThreshold(object, keys.length, what) : 1,
      thresholds: list(object, "thresholds", limits.policyThresholds, what).map((value, i) =>
        readNameThreshold(value, keys.length, `${what}: threshold ${i}`),
      ),
      keys,
      authority: readAuthority(object.get("policyKeys"), keyring, `${what}: policyKeys`),
      revoked: list(object, "revoked", limits.policyRevocations, what).map((value, i) =>
        readRevocation(value, `${what}: revoked ${i}`),
      ),
      maxAge: optionalDuration(object, "maxAge", what),
      maxValidity: optionalDuration(object, "maxValidity", what),
    };
    refuseTwice(
      content.revoked.map((entry) => entry.what),
      `${what}: revoked`,
    );
    return TrustPolicy.of(content, keyring);
  });
}

/** The file of a policy, indented for people; reading it gives an equal policy. */
export function formatPolicy(content: PolicyContent): Uint8Array {
  const time = (date: Date | undefined) => date && formatTime(date);
  const duration = (seconds: number | undefined) =>
    seconds === undefined ? undefined : formatDuration(seconds);
  const value = {
    type: POLICY_TYPE,
    comment: content.comment,
    name: content.name,
    version: content.version,
    expires: time(content.expires),
    epoch: content.epoch,
    maxAge: duration(content.maxAge),
    maxValidity: duration(content.maxValidity),
    keys: content.keys.map(({ key, names, notBefore, notAfter, comment }) => ({
      id: key.id,
      pem: key.toPem(),
      comment,
      names: names.map(({ text }) => text),
      notBefore: time(notBefore),
      notAfter: time(notAfter),
    })),
    threshold: content.threshold,
    thresholds: content.thresholds.map(({ names, threshold }) => ({
      names: names.text,
      threshold,
    })),
    policyKeys: { ids: content.authority.keyIds, threshold: content.authority.threshold },
    revoked: content.revoked.map(({ what, reason, since }) => ({
      [what.startsWith("SHA256:") ? "key" : "digest"]: what,
      reason,
      since: time(since),
    })),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  parsePolicy(bytes);
  return bytes;
}

function readKey(value: JsonValue, what: string): PolicyKey {
  const object = asObject(value, what);
  onlyFields(object, policyFields.key, what);
  const pem = asString(object.get("pem"), `${what}: pem`);
  const key = refusingKeys(what, () => parsePublicKey(pem, what));
  // The id is for people who read the file: it must not mislead them.
  if (object.has("id") && object.get("id") !== key.id) {
    throw refused(`${what}: its id is ${key.id}, not the one that the file says`);
  }
  const notBefore = optionalTime(object, "notBefore", what);
  const notAfter = optionalTime(object, "notAfter", what);
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    throw refused(`${what}: notBefore is not before notAfter, so that it is never valid`);
  }
  const names = asArray(object.get("names"), `${what}: names`);
  if (names.length > limits.policyNames) {
    throw refused(`${what}: expected at most ${limits.policyNames} names, got ${names.length}`);
  }
  const patterns = names.map((name) => new NamePattern(asString(name, `${what}: names`), what));
  const comment = optionalString(object, "comment", what);
  return { key, names: patterns, notBefore, notAfter, comment };
}

function readNameThreshold(value: JsonValue, keys: number, what: string): NameThreshold {
  const object = asObject(value, what);
  onlyFields(object, policyFields.threshold, what);
  const names = new NamePattern(asString(object.get("names"), `${what}: names`), what);
  return { names, threshold: readThreshold(object, keys, what) };
}

function readAuthority(value: JsonValue | undefined, keyring: Keyring, what: string): Authority {
  const object = asObject(value, what);
  onlyFields(object, policyFields.policyKeys, what);
  const ids = asArray(object.get("ids"), `${what}: ids`).map((id) => asString(id, `${what}: ids`));
  refuseTwice(ids, what);
  const stranger = ids.find((id) => keyring.get(id) === undefined);
  if (stranger !== undefined) {
    throw refused(`${what}: ${JSON.stringify(stranger.slice(0, 100))} is not among the keys`);
  }
  return { keyIds: ids, threshold: readThreshold(object, ids.length, what) };
}

/** A threshold above the number of keys could never be met. */
function readThreshold(object: JsonObject, keys: number, what: string): number {
  const threshold = positive(object.get("threshold"), `${what}: threshold`);
  if (threshold <= keys) return threshold;
  throw refused(`${what}: threshold ${threshold} of ${keys} keys can never be met`);
}

function readRevocation(value: JsonValue, what: string): Revocation {
  const object = asObject(value, what);
  onlyFields(object, policyFields.revocation, what);
  if (object.has("key") === object.has("digest")) {
    throw refused(`${what}: expected either key or digest`);
  }
  const field = object.has("key") ? "key" : "digest";
  const text = asString(object.get(field), `${what}: ${field}`);
  const form = field === "key" ? KEY_ID : DIGEST;
  if (!form.test(text)) {
    const got = JSON.stringify(text.slice(0, 140));
    const wanted = field === "key" ? "SHA256:…" : "64 or 128 lower-case hex digits";
    throw refused(`${what}: expected ${wanted}, got ${got}`);
  }
  const reason = object.has("reason") ? asString(object.get("reason"), `${what}: reason`) : "";
  return { what: text, reason, since: optionalTime(object, "since", what) };
}

const KEY_ID = /^SHA256:[A-Za-z0-9+/]{43}$/;
const DIGEST = /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/;

function readPolicyName(object: JsonObject, what: string): string {
  const name = asString(object.get("name"), `${what}: name`);
  if (name.length > limits.nameBytes) {
    const most = `expected at most ${limits.nameBytes} bytes`;
    throw refused(`${what}: name: ${most}, got ${name.length}`);
  }
  if (/^[\x21-\x7e]+$/.test(name)) return name;
  throw refused(`${what}: name: expected printable ASCII without spaces`);
}

/** A bad key makes the policy bad. */
function refusingKeys<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    const { message } = cause;
    throw new TrustError("BAD_POLICY", message.startsWith(what) ? message : `${what}: ${message}`, {
      cause,
    });
  }
}
