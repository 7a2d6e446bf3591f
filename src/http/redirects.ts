/**
 * Where a redirect may lead: to http and https, never from https to http, never to an address further
 * inside than where it comes from (`connections.ts` sees to that), and not for ever.
 * Spec: RFC 9110, 15.4; docs/hostile-inputs.md, 119 to 123.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";
import { type Headers, single } from "./answer.ts";
import { redact } from "./redact.ts";

const statuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return statuses.has(status);
}

/** Redirects of any request, which is made again as it was. RFC 9110, 15.4.8 and 15.4.9. */
export function keepsMethod(status: number): boolean {
  return status === 307 || status === 308;
}

/** Whether a server sends on to itself, with TLS, at the usual ports: it may see the same. */
export function isUpgrade(from: URL, to: URL): boolean {
  return (
    from.protocol === "http:" &&
    to.protocol === "https:" &&
    from.hostname === to.hostname &&
    from.port === "" &&
    to.port === ""
  );
}

/**
 * @param insecure whether it may lead from https to http
 * @throws {@link NetworkError} `BAD_REDIRECT` or `BAD_RESPONSE`
 */
export function redirectTarget(headers: Headers, from: URL, insecure = false): URL {
  const what = redact(from);
  const location = single(headers, "location", what);
  if (location === undefined) {
    throw new NetworkError("BAD_RESPONSE", `${what}: a redirect without Location`);
  }
  return resolveTarget(location, from, "redirects", insecure);
}

/**
 * The URL that a server names, as one that we may ask. A server behind a proxy that does TLS for it
 * may think that it is asked without: where it names itself, it is asked as before.
 *
 * @param insecure whether it may lead from https to http
 * @throws {@link NetworkError} `BAD_REDIRECT`
 */
export function resolveTarget(location: string, from: URL, does: string, insecure = false): URL {
  const what = redact(from);
  const bad = (why: string) => new NetworkError("BAD_REDIRECT", `${what}: ${does} ${why}`);
  if (!URL.canParse(location, from.href)) throw bad("to what is no URL");
  const to = new URL(location, from);
  if (to.protocol !== "http:" && to.protocol !== "https:") throw bad(`to ${to.protocol}`);
  if (from.protocol === "https:" && to.protocol === "http:") {
    if (to.hostname === from.hostname && (to.port === "" || to.port === from.port)) {
      to.protocol = "https:";
      to.port = from.port;
    } else if (!insecure) throw bad(`from https to http (${redact(to)})`);
  }
  if (to.username !== "" || to.password !== "") throw bad("to a URL with credentials");
  to.hash = "";
  return to;
}
