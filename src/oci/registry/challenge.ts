/**
 * How a registry says what it wants to know: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`,
 * or `Basic` (RFC 9110, 11.6.1; RFC 6750; distribution spec, "token authentication").
 *
 * @module
 */
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
  `\\s*,?\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`,
  "y",
);

/** The strongest of the challenges that we can answer. */
export function challengeOf(headers: Headers): Challenge | undefined {
  const value = headers["www-authenticate"];
  const lines = value === undefined ? [] : typeof value === "string" ? [value] : value;
  const found = lines.slice(0, 8).flatMap((line) => parseChallenge(line) ?? []);
  return found.find(({ scheme }) => scheme === "bearer") ?? found[0];
}

/** Undefined for a scheme that we do not know, and for nonsense. */
export function parseChallenge(text: string): Challenge | undefined {
  const [head, scheme] = new RegExp(`^\\s*(${TOKEN})(?=\\s|$)`).exec(text) ?? [];
  if (head === undefined || scheme === undefined) return undefined;
  if (/^basic$/i.test(scheme)) return { scheme: "basic" };
  if (!/^bearer$/i.test(scheme)) return undefined;
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = head.length;
  for (let match = PARAMETER.exec(text); match !== null; match = PARAMETER.exec(text)) {
    const [, name, quoted, plain] = match;
    parameters.set(name!.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? plain!);
  }
  const realm = parameters.get("realm");
  if (realm === undefined) return undefined;
  const service = parameters.get("service");
  return { scheme: "bearer", realm, service, scope: parameters.get("scope") };
}
