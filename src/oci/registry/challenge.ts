/**
 * How a registry says what it wants to know: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`,
 * or `Basic` (RFC 9110, 11.6.1; RFC 6750; distribution spec, "token authentication").
 *
 * @module
 */
import { limits } from "../../limits.ts";
import type { Headers } from "../../http/answer.ts";

export type Challenge =
  | { readonly scheme: "basic" }
  | {
      readonly scheme: "bearer";
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(
  // What is not quoted is to be a token; URLs are met there all the same.
  `\\s*,?\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`,
  "y",
);

/** A value without parameters, as Negotiate has it. */
const TOKEN68 = /\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;
const SCHEME = new RegExp(`[\\s,]*(${TOKEN})(?=\\s|,|$)`, "y");

/** The strongest of the challenges that we can answer. */
export function challengeOf(headers: Headers): Challenge | undefined {
  const value = headers["www-authenticate"];
  const lines = value === undefined ? [] : typeof value === "string" ? [value] : value;
  const found = lines.slice(0, limits.challenges).flatMap(parseChallenges);
  return found.find(({ scheme }) => scheme === "bearer") ?? found[0];
}

/** Those of a line that we know; schemes that we do not know, and nonsense, are passed over. */
export function parseChallenges(text: string): Challenge[] {
  const found: Challenge[] = [];
  let at = 0;
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (let count = 0; count < limits.challenges; count++) {
    const scheme = take(SCHEME)?.[1];
    if (scheme === undefined) break;
    const parameters = new Map<string, string>();
    for (let match = take(PARAMETER); match !== null; match = take(PARAMETER)) {
      const [, name, quoted, plain] = match;
      parameters.set(name!.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? plain!);
    }
    if (parameters.size === 0) take(TOKEN68);
    const challenge = challengeWith(scheme.toLowerCase(), parameters);
    if (challenge !== undefined) found.push(challenge);
  }
  return found;
}

function challengeWith(
  scheme: string,
  parameters: ReadonlyMap<string, string>,
): Challenge | undefined {
  if (scheme === "basic") return { scheme };
  const realm = parameters.get("realm");
  if (scheme !== "bearer" || realm === undefined) return undefined;
  return { scheme, realm, service: parameters.get("service"), scope: parameters.get("scope") };
}
